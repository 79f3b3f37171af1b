// The chains of whole programs, compared with those of LLVM's symbolizer.

import Foundation
import GraniteSymbols
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10)), .enabled(if: Tool.exists("llvm-symbolizer"))) struct OracleTests {
    struct Answer: Decodable {
        struct Symbol: Decodable {
            var FunctionName: String
            var Line: Int
            var Column: Int
        }
        var Address: String
        var Symbol: [Symbol]
    }

    /// Each address with what either side says where they differ.
    private func differences(
        in path: String, addresses: [UInt64], options: Symbolizer.Options = .testing, comparingPhysicalNames: Bool = true
    ) async throws -> (found: [String], compared: Int) {
        let symbolizer = Symbolizer(options: options)
        let module = Fixture.module(path)
        var differences: [String] = []
        var compared = 0
        for start in stride(from: 0, to: addresses.count, by: 1000) {
            let batch = addresses[start..<min(start + 1000, addresses.count)]
            let output = try await Tool.run(
                "llvm-symbolizer",
                ["--output-style=JSON", "--no-demangle", "--inlines", "--obj=\(path)"] + batch.map { "0x" + String($0, radix: 16) })
            let answers = try JSONDecoder().decode([Answer].self, from: Data(output.utf8))
            // Padding between functions has a line and no function; what has neither line is compared nowhere else: data in a
            // code segment, for which LLVM takes a symbol of any kind.
            for (address, answer) in zip(batch, answers)
            where answer.Symbol.contains(where: { $0.Line > 0 }) && answer.Symbol.allSatisfy({ !$0.FunctionName.isEmpty }) {
                compared += 1
                let frames = symbolizer.symbolize(address: Fixture.bias + address, isReturnAddress: false, in: module)
                let ours = frames.map { frame in
                    let name = frame.inlined || comparingPhysicalNames ? frame.rawSymbol : ""
                    return "\(name):\(frame.line ?? 0):\(frame.line == nil ? 0 : frame.column ?? 0)"
                }
                let theirs = answer.Symbol.enumerated().map { index, symbol in
                    let name = index < answer.Symbol.count - 1 || comparingPhysicalNames ? symbol.FunctionName : ""
                    return "\(name):\(symbol.Line):\(symbol.Line == 0 ? 0 : symbol.Column)"
                }
                if ours != theirs { differences.append("0x\(String(address, radix: 16)): \(ours) != \(theirs)") }
            }
        }
        #expect(symbolizer.problems == [])
        return (differences, compared)
    }

    @Test(arguments: [Fixtures.clang, Fixtures.gcc, Fixtures.dwarf4, Fixtures.cplus, Fixtures.swift])
    func agreesAtEveryByteOfASmallProgram(_ fixture: Task<Fixture, any Error>) async throws {
        let path = try await fixture.value.url.path
        let (differences, compared) = try await differences(in: path, addresses: Fixture.code(path))
        #expect(compared > 20)
        #expect(differences.isEmpty, "\(differences.count): \(differences.prefix(5).joined(separator: "\n"))")
    }

    @Test(.enabled(if: Tool.libpython != nil)) func agreesAcrossLibpython() async throws {
        let path = try #require(Tool.libpython)
        let (differences, compared) = try await differences(in: path, addresses: Fixture.code(path, step: 1021))
        #expect(compared > 1000)
        #expect(differences.isEmpty, "\(differences.count): \(differences.prefix(5).joined(separator: "\n"))")
    }

    private static let libc = "/lib/x86_64-linux-gnu/libc.so.6"

    @Test(.enabled(if: Symbolizer(options: .init(symbolStores: [])).debugStatus(of: Fixture.module(libc)) == "found"))
    func agreesAcrossGlibcAndItsDebugFile() async throws {
        let options = Symbolizer.Options(symbolStores: [])
        // LLVM shows one of the internal aliases of a function (`__GI_abort`), we another.
        let (differences, compared) = try await differences(
            in: Self.libc, addresses: Fixture.code(Self.libc, step: 509), options: options, comparingPhysicalNames: false)
        #expect(compared > 1000)
        #expect(differences.isEmpty, "\(differences.count): \(differences.prefix(9).joined(separator: "\n"))")
    }
}
