// Defines how a function symbol is found by address, the same in an object's symbol table and in an index on disk.

struct FunctionSymbol {
    /// In the file, without bias.
    var address: UInt64
    var size: UInt64
    /// What ``FunctionSymbols/text(_:)`` takes.
    var name: UInt32
    /// The higher of two at one address is the better name.
    var rank: UInt8
    /// Without a size (assembly): it reaches up to the next one.
    var isOpenEnded: Bool
}

/// Symbols in ascending order of address, then rank.
protocol FunctionSymbols {
    var count: Int { get }
    func symbol(_ index: Int) -> FunctionSymbol
    func text(_ name: UInt32) -> String?
}

extension FunctionSymbols {
    var isEmpty: Bool { count == 0 }

    /// The function that covers an address of the file. Never the nearest one below: in a stripped file that would be a stranger's name.
    func name(at address: UInt64) -> String? {
        var low = 0
        var high = count
        while low < high {
            let middle = low + (high - low) / 2
            if symbol(middle).address <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let nearest = symbol(low - 1).address
        // A small function within a larger one's range comes after it, hence a few steps back.
        for index in stride(from: low - 1, to: max(-1, low - 1 - Self.maxSteps), by: -1) {
            let entry = symbol(index)
            if address &- entry.address < entry.size || (entry.isOpenEnded && entry.address == nearest) {
                return bestName(at: index)
            }
        }
        return nil
    }

    /// Of the names that share an address and a rank: the one with the fewest underscores in front, then the shortest, then the
    /// first of the alphabet. Always the same, so that a crash keeps its fingerprint.
    private func bestName(at last: Int) -> String? {
        let best = symbol(last)
        var names: [String] = []
        for index in stride(from: last, to: max(-1, last - Self.maxSteps), by: -1) {
            let entry = symbol(index)
            guard entry.address == best.address, entry.rank == best.rank else { break }
            if let name = text(entry.name) { names.append(name) }
        }
        return names.min { ($0.leadingUnderscores, $0.utf8.count, $0) < ($1.leadingUnderscores, $1.utf8.count, $1) }
    }

    private static var maxSteps: Int { 64 }
}

extension String {
    fileprivate var leadingUnderscores: Int { utf8.prefix { $0 == UInt8(ascii: "_") }.count }
}
