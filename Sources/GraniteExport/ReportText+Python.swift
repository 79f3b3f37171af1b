// Defines the facts of the Python interpreter under the stack: the exception, the GIL, the garbage collector.

import GraniteReport

extension ReportText {
    /// `Exception  ValueError: bad input, being handled; raised in parse at app.py:12`.
    var exception: [TextLine] {
        guard let exception = report.crashedThread?.exception else { return [] }
        let message = exception.message.map { ": " + TerminalText.bounded($0, scalars: 512) } ?? ""
        var text = (exception.type ?? "An exception") + message
        text += exception.state == "handled" ? ", being handled" : ", on its way up the stack"
        if let file = exception.file {
            let place = SourcePath.short(file, relativeTo: report.process?.directory)
            text += "; raised\(exception.function.map { " in \($0)" } ?? "") at \(place)"
            text += exception.line.map { ":\($0)" } ?? ""
        }
        return labelled("Exception", text)
    }

    /// `Python     GIL held by thread 7 "python-1", 2 threads wait for it; garbage collection was running (generation 2)`;
    /// nothing if there is nothing to wonder at.
    var interpreter: [TextLine] {
        guard let python = report.python else { return [] }
        var parts: [String] = []
        let waiters = python.gilWaiters?.count ?? 0
        if let holder = python.gilHolder, holder != report.crashedThread?.tid || waiters > 0 {
            let thread = report.threads?.first { $0.tid == holder }
            let name = thread.map(self.name) ?? "Thread \(holder)"
            let who = thread == report.crashedThread ? "this thread" : name.replacingFirst("Thread", "thread")
            parts.append("GIL held by \(who)")
        } else if waiters > 0, python.gilHeld == false {
            parts.append("GIL free")
        }
        if waiters > 0 { parts.append("\(Quantity.count(waiters, "thread")) waiting for the GIL") }
        if python.collecting == true {
            let generation = python.collectedGeneration.map { " (generation \($0))" } ?? ""
            parts.append("garbage collection was running\(generation)")
        }
        if let interpreters = python.interpreters, interpreters > 1 { parts.append("\(interpreters) interpreters") }
        return parts.isEmpty ? [] : labelled("Python", parts.joined(separator: "; "))
    }
}

extension String {
    fileprivate func replacingFirst(_ prefix: String, _ other: String) -> String {
        hasPrefix(prefix) ? other + dropFirst(prefix.count) : self
    }
}
