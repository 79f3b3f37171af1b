// Lists mistakes in software that many run, where the makers' answer is known: a reader need not find it again. Data.

struct KnownBug {
    /// How Rust's path of the type begins.
    var typePrefix: String
    /// Says what to do, a clause.
    var advice: String

    static let all = [
        KnownBug(
            typePrefix: "_granian::wsgi::io::WSGIProtocol",
            advice:
                "Granian before 2.1.2 has this bug: upgrade it; until then run it with --blocking-threads 1, so that one thread makes and releases these objects"
        )
    ]

    static func about(type: String) -> KnownBug? { all.first { type.hasPrefix($0.typePrefix) } }
}
