// Defines the search structure for nested address ranges: which innermost range covers an address.
// Compile units and the functions within one are both looked up by it.

/// A range of addresses that belongs to `value`.
struct AddressRange {
    var low: UInt64
    /// One past the last; greater than `low`.
    var high: UInt64
    /// 0 or more; -1 is "none".
    var value: Int32
    /// How deep it is nested: the deeper of two equal ranges wins.
    var depth: Int32
}

/// Nested ranges, flattened into consecutive ones, so that a look-up is one binary search.
/// Ranges from damaged files may overlap without being nested: the one that starts later then wins until it ends.
struct AddressMap {
    private var starts: [UInt64] = []
    /// Of the addresses from `starts[i]` up to `starts[i + 1]`.
    private var values: [Int32] = []

    init(_ ranges: [AddressRange] = []) {
        let sorted = ranges.sorted { ($0.low, $0.depth, $1.high) < ($1.low, $1.depth, $0.high) }
        starts.reserveCapacity(sorted.count * 2)
        values.reserveCapacity(sorted.count * 2)
        var open: [AddressRange] = []
        for range in sorted {
            close(&open, upTo: range.low)
            open.append(range)
            mark(range.low, range.value)
        }
        close(&open, upTo: .max)
    }

    /// The value of the innermost range that covers the address.
    func value(at address: UInt64) -> Int? {
        let next = firstStart(above: address)
        guard next > 0, values[next - 1] >= 0 else { return nil }
        return Int(values[next - 1])
    }

    private func firstStart(above address: UInt64) -> Int {
        var low = 0
        var high = starts.count
        while low < high {
            let middle = low + (high - low) / 2
            if starts[middle] <= address { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The consecutive pieces in ascending order: from `low` up to `high`, the innermost range's value. Gaps are left out.
    func forEachPiece(_ body: (_ low: UInt64, _ high: UInt64, _ value: Int) -> Void) {
        for index in starts.indices where values[index] >= 0 {
            body(starts[index], index + 1 < starts.count ? starts[index + 1] : .max, Int(values[index]))
        }
    }

    /// As ``forEachPiece(_:)``, cut to a range.
    func forEachPiece(
        from lowest: UInt64, to highest: UInt64, _ body: (_ low: UInt64, _ high: UInt64, _ value: Int) -> Void
    ) {
        var index = max(0, firstStart(above: lowest) - 1)
        while index < starts.count, starts[index] < highest {
            let end = index + 1 < starts.count ? starts[index + 1] : .max
            if values[index] >= 0, end > lowest {
                body(max(starts[index], lowest), min(end, highest), Int(values[index]))
            }
            index += 1
        }
    }

    /// Ends the open ranges that end at or before the address.
    private mutating func close(_ open: inout [AddressRange], upTo address: UInt64) {
        while let last = open.last, last.high <= address {
            while let outer = open.last, outer.high <= last.high { open.removeLast() }
            mark(last.high, open.last?.value ?? -1)
        }
    }

    private mutating func mark(_ address: UInt64, _ value: Int32) {
        if starts.last == address {
            values[values.count - 1] = value
        } else if values.last != value {
            starts.append(address)
            values.append(value)
        }
    }
}
