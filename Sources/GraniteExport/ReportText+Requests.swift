// Defines the lines about requests that were answered before the end. Separate from those in flight, which the head and the facts name.

import GraniteReport

extension ReportText {
    /// `Before     GET /cart 200 in 1.2 ms, 0.3 s earlier`, the last first: where there is no stack to explain the death.
    var before: [TextLine] {
        guard options.all || report.threads?.isEmpty != false else { return [] }
        let recent = (report.recentRequests ?? []).reversed().prefix(options.all ? 32 : 3)
        return recent.enumerated().flatMap { index, request in
            labelled(index == 0 ? "Before" : "", Self.description(request, columns: width - 11), .quiet)
        }
    }

    static func description(_ request: EndedRequest, columns: Int) -> String {
        let method = TerminalText.cutEnd(TerminalText.neutralised(request.method ?? "a request"), columns: 8)
        var end = request.status.map { " \($0)" } ?? " cut"
        end += request.durationMilliseconds.flatMap { Quantity.duration(seconds: $0 / 1000) }.map { " in \($0)" } ?? ""
        end += request.agoSeconds.flatMap(Quantity.duration(seconds:)).map { ", \($0) earlier" } ?? ""
        let room = columns - TerminalText.columns(method + " " + end)
        let target = TerminalText.cutMiddle(TerminalText.neutralised(request.target ?? "?"), columns: max(16, room))
        return "\(method) \(target)\(end)"
    }
}
