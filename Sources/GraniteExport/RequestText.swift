// Defines how a request is named in one line.

import GraniteReport

enum RequestText {
    /// `GET /crash/null for 2.1 ms (request 7f3c9a)` in at most `columns`: the target gives way.
    static func description(_ request: RequestInfo, columns: Int) -> String {
        let method = TerminalText.cutEnd(TerminalText.neutralised(request.method ?? "a request"), columns: 24)
        let age = request.ageMilliseconds.flatMap { Quantity.duration(seconds: $0 / 1000) }.map { " for \($0)" } ?? ""
        let id = request.id.map { " (request \(TerminalText.cutEnd(TerminalText.neutralised($0), columns: 40)))" } ?? ""
        guard let target = request.target else { return method + age + id }
        let room = columns - TerminalText.columns(method + " " + age + id)
        let text = method + " " + TerminalText.cutMiddle(TerminalText.neutralised(target), columns: max(16, room)) + age + id
        return TerminalText.cutEnd(text, columns: columns)
    }
}
