// Damaged files: the symbolizer must end, in bounded time, with or without names.

import Foundation
import GraniteSymbols
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct HostileInputTests {
    /// Asks for some addresses of an image in memory; returns how many functions were named.
    private func ask(_ bytes: [UInt8], addresses: [UInt64]) -> Int {
        let symbolizer = Symbolizer(options: .testing)
        var module = Fixture.module("/damaged")
        module.memory = bytes
        _ = symbolizer.debugStatus(of: module)
        return addresses.reduce(0) { count, address in
            count + symbolizer.symbolize(address: Fixture.bias &+ address, isReturnAddress: false, in: module).count
        }
    }

    private func sample(of fixture: Fixture) -> [UInt64] {
        let code = Fixture.code(fixture.url.path)
        return stride(from: 0, to: code.count, by: max(1, code.count / 24)).map { code[$0] }
    }

    @Test(arguments: [Fixtures.clang, Fixtures.gcc]) func endsWithEveryTruncatedFile(_ fixture: Task<Fixture, any Error>) async throws {
        let fixture = try await fixture.value
        let bytes = [UInt8](try Data(contentsOf: fixture.url))
        let addresses = sample(of: fixture)
        #expect(ask(bytes, addresses: addresses) > 3)
        for count in Array(0..<512) + Array(stride(from: 512, to: bytes.count, by: 37)) {
            _ = ask(Array(bytes[..<count]), addresses: addresses)
        }
        // From a file, libelf takes other paths.
        let directory = try TemporaryDirectory()
        let path = directory.file("short")
        for count in stride(from: 0, to: bytes.count, by: 211) {
            try Data(bytes[..<count]).write(to: path)
            let symbolizer = Symbolizer(options: .testing)
            _ = ELFImage.buildID(path: path.path)
            for address in addresses {
                _ = symbolizer.symbolize(address: Fixture.bias &+ address, isReturnAddress: true, in: Fixture.module(path.path))
            }
        }
    }

    @Test(arguments: [Fixtures.clang, Fixtures.gcc, Fixtures.dwarf4, Fixtures.cplus])
    func endsWithRandomlyDamagedFiles(_ fixture: Task<Fixture, any Error>) async throws {
        let fixture = try await fixture.value
        let bytes = [UInt8](try Data(contentsOf: fixture.url))
        let addresses = sample(of: fixture)
        var named = 0
        for seed in 0..<1500 {
            var random = SplitMix(state: UInt64(seed))
            var damaged = bytes
            for _ in 0..<(1 << (seed % 7)) { damaged[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next()) }
            named += ask(damaged, addresses: addresses)
        }
        // Most damage leaves something to read: the loop did exercise the readers.
        #expect(named > 1500)
    }

    @Test func endsWithDamageInTheDebugSectionsAlone() async throws {
        let fixture = try await Fixtures.clang.value
        let bytes = [UInt8](try Data(contentsOf: fixture.url))
        let sections = try await Tool.run("readelf", ["-SW", fixture.url.path])
        let ranges = sections.split(separator: "\n").compactMap { line -> Range<Int>? in
            let fields = line.replacingOccurrences(of: "[ ", with: "[").split(separator: " ").map(String.init)
            guard fields.count > 6, fields[1].hasPrefix(".debug"), let offset = Int(fields[4], radix: 16), let size = Int(fields[5], radix: 16)
            else { return nil }
            return offset..<offset + size
        }
        try #require(ranges.count >= 4)
        let addresses = sample(of: fixture)
        for (index, range) in ranges.enumerated() {
            for seed in 0..<600 {
                var random = SplitMix(state: UInt64(index * 1000 + seed))
                var damaged = bytes
                for _ in 0..<(1 + seed % 4) {
                    damaged[range.lowerBound + Int(random.next() % UInt64(range.count))] = seed % 3 == 0 ? 0xff : UInt8(truncatingIfNeeded: random.next())
                }
                _ = ask(damaged, addresses: addresses)
            }
        }
    }
}

/// Sebastiano Vigna's splitmix64: the same numbers in each run.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
