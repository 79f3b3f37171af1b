// Defines what a report says of a native exception: where it was thrown, which the stack at the end may not show any more.

/// An exception of C++ or a panic of Rust, as it was thrown.
package struct ThrownException: Codable, Sendable, Equatable {
    /// `C++` or `Rust`; nil: of another runtime.
    package var language: String?
    /// Demangled name of its type.
    package var type: String?
    package var message: String?
    package var tid: Int?
    /// How long before the capture.
    package var ageMilliseconds: Double?
    /// Where it was thrown, innermost first.
    package var frames: [Frame]?

    package init() {}

    enum CodingKeys: String, CodingKey {
        case language, type, message, tid
        case ageMilliseconds = "age_ms"
        case frames
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        language = fields.lenient(.language)
        type = fields.lenient(.type)
        message = fields.lenient(.message)
        tid = fields.lenient(.tid)
        ageMilliseconds = fields.lenient(.ageMilliseconds)
        frames = fields.lenientArray(.frames)
    }
}
