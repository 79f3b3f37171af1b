// The decoder against objdump, over real code, and against bytes that are no code.

import Foundation
import TestSupport
import Testing

@testable import GraniteCollector

#if arch(x86_64)
@Suite(.timeLimit(.minutes(3))) struct InstructionTests {
    /// One line of `objdump -d -w`.
    private struct Line {
        var bytes: [UInt8]
        /// Without comments, one blank between mnemonic and operands.
        var text: String
    }

    private static func disassembled(_ path: String, maxLines: Int) async throws -> [Line] {
        let objdump = URL(fileURLWithPath: "/usr/bin/objdump")
        let symbols = try await Command.run(objdump, ["-d", "-w", path], limit: 120)
        try #require(symbols.ending == .code(0), "\(symbols.errors)")
        let lines = symbols.output.split(separator: "\n")
        // Spread over the whole file, in runs.
        let step = max(1, lines.count / maxLines)
        return stride(from: 0, to: lines.count, by: step).compactMap { line(lines[$0]) }
    }

    private static func line(_ text: Substring) -> Line? {
        let fields = text.split(separator: "\t", omittingEmptySubsequences: false)
        guard fields.count >= 3 else { return nil }
        let bytes = fields[1].split(separator: " ").compactMap { UInt8($0, radix: 16) }
        var body = String(fields[2])
        if let comment = body.firstIndex(of: "#") { body = String(body[..<comment]) }
        if let symbol = body.firstIndex(of: "<") { body = String(body[..<symbol]) }
        // A displacement that is there and 0 is written by objdump, and not by us.
        let words = body.split(whereSeparator: \.isWhitespace).joined(separator: " ").replacing("0x0(", with: "(")
        let isNone = ["(bad)", "rex.", "%riz", "(%dx)", "%st", "xlat"].contains { words.contains($0) }
        // objdump takes a wait (9b) and what follows it for one instruction.
        guard !bytes.isEmpty, bytes[0] != 0x9b, !isNone else { return nil }
        return Line(bytes: bytes, text: words)
    }

    /// `0x8(%rax,%rcx,4)` of the text, if it has such an operand.
    private static func operand(_ text: String) -> String? {
        guard let open = text.firstIndex(of: "("), let close = text[open...].firstIndex(of: ")") else { return nil }
        let before = text[..<open].reversed().prefix { $0 == "x" || $0 == "-" || $0.isHexDigit }
        return String(before.reversed()) + String(text[open...close])
    }

    @Test(
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/objdump")),
        arguments: [
            "/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libm.so.6",
            "/lib/x86_64-linux-gnu/libpython3.11.so.1.0",
            "/lib/x86_64-linux-gnu/libstdc++.so.6",
        ].filter { FileManager.default.fileExists(atPath: $0) })
    func lengthsAndOperandsAreThoseOfObjdump(_ path: String) async throws {
        let lines = try await Self.disassembled(path, maxLines: 15_000)
        #expect(lines.count > 8000)
        var wrong: [String] = []
        var written = 0
        for line in lines {
            guard let found = Instruction.decode(line.bytes) else {
                wrong.append("not decoded: \(line)")
                continue
            }
            if found.length != line.bytes.count { wrong.append("length \(found.length): \(line)") }
            if let operand = Self.operand(line.text), !operand.contains("mm"),
                found.implied.isEmpty || found.operand != nil
            {
                var mine = found.operand?.text ?? "none"
                if let colon = mine.firstIndex(of: ":") { mine = String(mine[mine.index(after: colon)...]) }
                if mine != operand { wrong.append("operand \(mine): \(line)") }
            }
            if let text = found.text {
                written += 1
                let isCall = text == "call" || text == "ret"
                let theirs = line.text.replacing("notrack ", with: "").replacing("bnd ", with: "").replacing(
                    "repz ret", with: "ret")
                let same = isCall ? theirs.hasPrefix(text) : theirs.hasSuffix(text)
                if !same { wrong.append("text \(text): \(line)") }
            }
        }
        #expect(wrong.count == 0, "\(wrong.count) of \(lines.count): \(wrong.prefix(10).joined(separator: "\n"))")
        #expect(written > lines.count / 4)
    }

    @Test func noBytesWhateverMakeItTrap() {
        var generator = SplitMix(state: 7)
        var decoded = 0
        for _ in 0..<1_000_000 {
            var bytes = withUnsafeBytes(of: (generator.next(), generator.next())) { Array($0) }
            bytes.removeLast(Int(generator.next() % 17))
            guard let found = Instruction.decode(bytes) else { continue }
            decoded += 1
            let registers = (0..<17).map { _ in generator.next() }
            _ = found.operand?.address(registers: registers, instruction: generator.next(), length: found.length)
            if found.length > bytes.count || found.length < 1 { Issue.record("\(bytes) has length \(found.length)") }
        }
        #expect(decoded > 100_000)
    }

    @Test(
        arguments: [
            // mov 0x8(%rax),%rcx
            ([0x48, 0x8b, 0x48, 0x08], UInt64(0x1008)),
            // mov (%rax,%rdx,8),%rcx
            ([0x48, 0x8b, 0x0c, 0xd0], 0x1000 + 8 * 0x1001),
            // mov 0x10(%rip),%rax, of 7 bytes
            ([0x48, 0x8b, 0x05, 0x10, 0, 0, 0], 0x1010 + 7 + 0x10),
            // vmovdqu64 0x40(%rdi),%zmm16: the displacement counts vectors
            ([0x62, 0xe1, 0xfe, 0x48, 0x6f, 0x47, 0x01], 0x1005 + 0x40),
        ] as [([UInt8], UInt64)]) func addressIsBaseIndexAndDisplacement(_ bytes: [UInt8], _ address: UInt64) throws
    {
        let found = try #require(Instruction.decode(bytes))
        let registers = (0..<17).map { 0x1000 + UInt64($0) }
        #expect(found.operand?.address(registers: registers, instruction: 0x1010, length: found.length) == address)
    }
}

/// Steele, Lea and Flood: the same numbers in each run.
private struct SplitMix {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}
#endif
