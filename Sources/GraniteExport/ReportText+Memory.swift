// Defines the line about memory, and the little curve at its end. Separate because a curve is drawn, not worded.

import GraniteReport

extension ReportText {
    /// `Memory     48 MiB → 243 MiB in 4 s, limit 256 MiB  ▁▁▂▃▅▇█`: where there is no stack to explain the death, or memory grew.
    var memory: [TextLine] {
        guard let process = report.process, let memory = process.memory else { return [] }
        let peak = process.resources?.maxRSSBytes ?? 0
        let last = memory.lastBytes(peak: peak)
        let growth = memory.growth(to: last)
        let isTelling = report.threads?.isEmpty != false && memory.isTelling(peak: peak)
        guard options.all || isTelling || growth != nil, let phrase = memory.phrase(peak: peak)
        else { return [] }
        let curve = Sparkline.text(memory.trend ?? [], last: last, seconds: growth?.seconds)
        return labelled("Memory", phrase + (curve.isEmpty ? "" : "  \(curve)"))
    }
}

/// A curve of one line: eight heights, the highest value is a full block.
enum Sparkline {
    static let columns = 16
    private static let blocks = Array("▁▂▃▄▅▆▇█")

    /// The resident memory of the last `seconds`, or of the whole life; empty if there are fewer than three samples.
    ///
    /// - Parameters:
    ///   - samples: oldest first.
    ///   - last: what it was at the end.
    static func text(_ samples: [MemorySample], last: UInt64, seconds: Double?) -> String {
        let shown = samples.suffix(256).filter {
            $0.ageSeconds.isFinite && $0.ageSeconds <= (seconds ?? .infinity) * 1.25
        }
        guard shown.count > 2, let span = shown.map(\.ageSeconds).max(), span > 0 else { return "" }
        let width = min(columns, shown.count + 1)
        var heights = [UInt64?](repeating: nil, count: width)
        for sample in shown {
            let column = Int((1 - max(0, sample.ageSeconds) / span) * Double(width - 1))
            heights[column] = max(heights[column] ?? 0, sample.rssBytes)
        }
        heights[width - 1] = max(heights[width - 1] ?? 0, last)
        guard let most = heights.compactMap({ $0 }).max(), most > 0 else { return "" }
        var current: UInt64 = shown.first?.rssBytes ?? 0
        return String(
            heights.map { height in
                current = height ?? current
                return blocks[min(blocks.count - 1, Int(Double(current) / Double(most) * Double(blocks.count)))]
            })
    }
}
