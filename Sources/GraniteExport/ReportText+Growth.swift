// Defines the lines about the types of which there are more. Separate: only a report of memory that grows has them.

import GraniteReport

extension ReportText {
    /// `Growth     36,161 app.Boom (120 → 36,281)`, a line a type.
    var growth: [TextLine] {
        let types = report.growth?.types ?? []
        guard !types.isEmpty else { return [] }
        let shown = options.all ? types.count : min(types.count, 8)
        var lines: [TextLine] = []
        for type in types.prefix(shown) {
            let counts = "\(Quantity.grouped(type.before)) → \(Quantity.grouped(type.now))"
            lines += labelled(
                lines.isEmpty ? "Growth" : "", "\(Quantity.grouped(type.more)) \(type.type) (\(counts))")
        }
        if types.count > shown {
            lines += labelled("", "and \(Quantity.count(types.count - shown, "type")) more (--all)", .quiet)
        }
        return lines
    }
}
