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
    private func differences(in path: String, addresses: [UInt64]) async throws -> [String] {
        let symbolizer = Symbolizer(options: .testing)
        let module = Fixture.module(path)
        var differences: [String] = []
        for start in stride(from: 0, to: addresses.count, by: 1000) {
            let batch = addresses[start..<min(start + 1000, addresses.count)]
            let output = try await Tool.run(
                "llvm-symbolizer",
                ["--output-style=JSON", "--no-demangle", "--inlines", "--obj=\(path)"] + batch.map { "0x" + String($0, radix: 16) })
            let answers = try JSONDecoder().decode([Answer].self, from: Data(output.utf8))
            for (address, answer) in zip(batch, answers) {
                let ours = symbolizer.symbolize(address: Fixture.bias + address, isReturnAddress: false, in: module)
                    .map { "\($0.rawSymbol):\($0.line ?? 0):\($0.line == nil ? 0 : $0.column ?? 0)" }
                let theirs = answer.Symbol.map { "\($0.FunctionName):\($0.Line):\($0.Line == 0 ? 0 : $0.Column)" }
                    .filter { !$0.hasPrefix(":0") }
                if ours != theirs { differences.append("0x\(String(address, radix: 16)): \(ours) != \(theirs)") }
            }
        }
        #expect(symbolizer.problems == [])
        return differences
    }

    @Test(arguments: [Fixtures.clang, Fixtures.gcc, Fixtures.dwarf4, Fixtures.cplus, Fixtures.swift])
    func agreesAtEveryByteOfASmallProgram(_ fixture: Task<Fixture, any Error>) async throws {
        let path = try await fixture.value.url.path
        let differences = try await differences(in: path, addresses: Fixture.code(path))
        #expect(differences.isEmpty, "\(differences.count): \(differences.prefix(5).joined(separator: "\n"))")
    }

    @Test(.enabled(if: Tool.libpython != nil)) func agreesAcrossLibpython() async throws {
        let path = try #require(Tool.libpython)
        let code = Fixture.code(path, step: 1021)
        let differences = try await differences(in: path, addresses: code)
        #expect(differences.count * 1000 <= code.count, "\(differences.count) of \(code.count): \(differences.prefix(9).joined(separator: "\n"))")
    }
}
