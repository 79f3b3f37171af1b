// Names the probe's own functions by address, without the collector: nm and the page's maps.

import Foundation
import GraniteCrashChannel
import GraniteReport
import TestSupport

/// The functions of the CrashProbe executable.
struct ProbeSymbols {
    private var functions: [(address: UInt64, name: String)]
    private let path = BuildProducts.executable("CrashProbe").resolvingSymlinksInPath().path

    init() throws {
        functions = try SymbolTable.lines(["--numeric-sort", "--defined-only"], of: path).compactMap { line in
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count == 3, "tT".contains(words[1]), let address = UInt64(words[0], radix: 16) else {
                return nil
            }
            return (address, String(words[2]))
        }
    }

    /// The names of those addresses that lie in the executable, in order.
    func names(of addresses: [Address], in page: CrashPage) throws -> [String] {
        let lines = String(decoding: try page.maps(), as: UTF8.self).split(separator: "\n").filter {
            $0.hasSuffix(path)
        }
        let ranges = lines.compactMap { line -> Range<UInt64>? in
            let bounds = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt64($0, radix: 16) }
            return bounds.count == 2 ? bounds[0]..<bounds[1] : nil
        }
        guard let base = ranges.first?.lowerBound else { return [] }
        return addresses.filter { address in ranges.contains { $0.contains(address.value) } }.compactMap { address in
            // A return address may be the first after its function.
            functions.last { $0.address < address.value - base }?.name
        }
    }
}
