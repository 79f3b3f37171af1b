import Foundation
import GraniteLogging
import Testing

struct JSONStringTests {
    static let cases: [([UInt8], String)] = [
        (Array("plain".utf8), "plain"),
        (Array("quote \" back \\ tab \t line \n return \r".utf8), "quote \" back \\ tab \t line \n return \r"),
        ([0, 1, 0x1F, 0x7F], "\u{0}\u{1}\u{1F}\u{7F}"),
        (Array("grün 🦊".utf8), "grün 🦊"),
        ([0x61, 0xFF, 0x62], "a\u{FFFD}b"),
        ([0xC0, 0xAF], "\u{FFFD}\u{FFFD}"),  // overlong
        ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),  // a surrogate
        ([0xF4, 0x90, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),  // above U+10FFFF
        ([0xE2, 0x82], "\u{FFFD}\u{FFFD}"),  // cut short
        ([], ""),
    ]

    @Test(arguments: cases) func anyBytesBecomeOneValidString(_ bytes: [UInt8], _ expected: String) throws {
        var json: [UInt8] = []
        bytes.withUnsafeBytes { json.appendJSONString($0) }
        let parsed = try JSONSerialization.jsonObject(with: Data(json), options: .fragmentsAllowed)
        #expect(parsed as? String == expected)
    }

    @Test func everyByteAloneAndInPairsIsValid() throws {
        for first in UInt8.min...UInt8.max {
            for second in [0x00, 0x22, 0x41, 0x5C, 0x80, 0xA0, 0xBF, 0xC2, 0xE0, 0xED, 0xF0, 0xFF] as [UInt8] {
                var json: [UInt8] = []
                [first, second].withUnsafeBytes { json.appendJSONString($0) }
                #expect(throws: Never.self) {
                    try JSONSerialization.jsonObject(with: Data(json), options: .fragmentsAllowed)
                }
                #expect(!json.contains { $0 < 0x20 })
            }
        }
    }
}
