import Testing

@testable import GraniteCollector

/// The tables are what the compilers of 3.9, 3.10 and 3.11 made; every lookup that a real stack needs is in
/// PythonStackReaderTests.
struct PythonLineTableTests {
    @Test func lnotabAddsPairsUpToTheInstruction() {
        // 0-5 line 10, 6-9 line 11, 10-… line 8
        let table = PythonLineTable(format: .lnotab, bytes: [0, 0, 6, 1, 4, 0xFD], firstLine: 10)
        #expect([-1, 0, 5, 6, 9, 10, 500].map(table.line) == [10, 10, 10, 11, 11, 8, 8])
    }

    @Test func linetableKnowsInstructionsWithoutALine() {
        let table = PythonLineTable(format: .linetable, bytes: [4, 1, 2, 0x80, 6, 0xFF], firstLine: 10)
        #expect([-2, 0, 3, 4, 5, 6, 11, 12].map(table.line) == [10, 11, 11, nil, nil, 10, 10, nil])
    }

    @Test func locationsDecodeEveryCode() {
        let table = PythonLineTable(
            format: .locations,
            bytes: [
                0x80 | 14 << 3 | 0, 4, 0, 1, 1,  // long: +2, one unit
                0x80 | 0 << 3 | 1, 0x11,  // short: the same line, two units
                0x80 | 11 << 3 | 0, 1, 2,  // one line: +1
                0x80 | 13 << 3 | 0, 7,  // no columns: -3
                0x80 | 15 << 3 | 0,  // none
                0x80 | 13 << 3 | 0, 64 | 40, 6,  // two-byte varint: 424 = +212
            ], firstLine: 10)
        #expect([-2, 0, 2, 4, 6, 8, 10, 12, 14].map(table.line) == [10, 12, 12, 12, 13, 10, nil, 222, nil])
    }

    @Test func anyBytesEndInOnePass() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            for format in [PythonLineTable.Format.lnotab, .linetable, .locations] {
                let table = PythonLineTable(
                    format: format, bytes: bytes, firstLine: .random(in: 0...Int(Int32.max), using: &generator))
                for instruction in [-2, 0, 1, 17, 600, Int.max] { _ = table.line(of: instruction) }
            }
        }
        let endless = PythonLineTable(
            format: .locations, bytes: Array(repeating: 0xE8 | 0x7F, count: 100_000), firstLine: 1)
        #expect(endless.line(of: .max) == nil)
    }
}

/// SplitMix64: the same numbers in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
