// How long random tests go on, and where their numbers come from.

import Foundation

/// `GRANITE_FUZZ_ROUNDS` and `GRANITE_FUZZ_SEED` in the environment; Tests/fuzz sets them. Without them a test is short and always the same.
package enum Fuzzing {
    /// - Parameter usual: what a test does when nobody asks for more.
    package static func rounds(_ usual: Int) -> Int { value("GRANITE_FUZZ_ROUNDS") ?? usual }

    /// The numbers of one test.
    ///
    /// - Parameter salt: another for each test.
    package static func numbers(_ salt: UInt64) -> SplitMix {
        SplitMix(state: UInt64(value("GRANITE_FUZZ_SEED") ?? 1) &* 0x1_0000_0001 &+ salt)
    }

    private static func value(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }
}

/// The same numbers in every run (splitmix64).
package struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(state: UInt64) { self.state = state }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    package mutating func below(_ limit: Int) -> Int { limit > 0 ? Int(next() % UInt64(limit)) : 0 }

    package mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }

    /// A number that code stumbles over: a border, or anything.
    package mutating func hostileWord() -> UInt64 {
        let borders: [UInt64] = [
            0, 1, 2, 7, 8, 0xff, 0xfff, 0x1000, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000,
            0x7fff_ffff_ffff, 0x8000_0000_0000, 0xffff_8000_0000_0000, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000,
            0xffff_ffff_ffff_f000, .max - 7, .max - 1, .max,
        ]
        return below(4) == 0 ? next() : borders[below(borders.count)]
    }
}
