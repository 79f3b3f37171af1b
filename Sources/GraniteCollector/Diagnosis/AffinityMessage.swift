// Defines how the sentences of PyO3 about objects that are bound to a thread are read. Pure; separate from the rule, because their words
// changed with PyO3's versions and may again.

/// What PyO3 said: `RuntimeError: _granian::wsgi::io::WSGIProtocol is unsendable, but is being dropped on another thread (app.py:11 in lookup)`.
struct AffinityMessage: Equatable {
    enum Mistake: Equatable {
        /// Released on another thread than its maker's: the value in it is leaked.
        case dropped
        /// Called on another thread than its maker's.
        case used
        /// A Python object was released by a thread that did not hold the GIL.
        case withoutGIL
    }

    var mistake: Mistake
    /// Rust's path of the type; nil where the sentence names none.
    var type: String?

    /// nil if it is another message.
    init?(_ message: String) {
        if message.contains("Cannot drop pointer into Python heap without the ") {
            (mistake, type) = (.withoutGIL, nil)
            return
        }
        // 0.19 wrote "unsendbale".
        guard
            let clause = [" is unsendable, but ", " is unsendbale, but "].lazy.compactMap({ message.firstRange(of: $0) }
            )
            .first
        else { return nil }
        let rest = message[clause.upperBound...]
        if rest.hasPrefix("is being dropped on another thread") || rest.hasPrefix("is dropped on another thread") {
            mistake = .dropped
        } else if rest.hasPrefix("sent to another thread") {
            mistake = .used
        } else {
            return nil
        }
        let name = message[..<clause.lowerBound].split(whereSeparator: { " \n`'\"".contains($0) }).last
        type = name.map(String.init)
    }
}
