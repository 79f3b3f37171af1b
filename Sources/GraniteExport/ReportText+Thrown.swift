// Defines the paragraph about an exception that was thrown elsewhere than where it ended the thread.

import GraniteReport

extension ReportText {
    /// What was thrown, when, by whom; and where, if the stack above does not show it.
    var thrown: [TextLine] {
        guard let thrown = report.thrown else { return [] }
        let showsPlace = !isOnStack(thrown)
        // A panic has no type: its place is all that could be said.
        guard showsPlace || thrown.type != nil || thrown.message != nil else { return [] }
        var words = thrown.type ?? (thrown.language == "Rust" ? "a panic" : "an exception")
        if let language = thrown.language { words += " (\(language))" }
        if let message = thrown.message { words += ": \(message)" }
        if let age = thrown.ageMilliseconds.flatMap({ Quantity.duration(seconds: $0 / 1000) }) {
            words += ", \(age) before"
        }
        if let tid = thrown.tid, tid != report.crashedThread?.tid { words += ", by thread \(tid)" }
        let frames = thrown.frames ?? []
        return labelled("Thrown", words) + (showsPlace && !frames.isEmpty ? stack.lines(frames: frames) : [])
    }

    /// Whether the innermost frames of the throw are on the crashed thread's stack.
    private func isOnStack(_ thrown: ThrownException) -> Bool {
        let onStack = Set((report.crashedThread?.frames ?? []).compactMap(\.address))
        return (thrown.frames ?? []).prefix(3).allSatisfy { $0.address.map(onStack.contains) ?? false }
    }
}
