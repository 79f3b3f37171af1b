// Reads out of a crash page what was counted rather than captured, and what was thrown, while the process may be writing.

import CGraniteCapture
package import GraniteReport

extension CrashPage {
    /// A mistake that may have happened many times.
    package struct Occasion: Sendable, Equatable {
        package var fingerprint: UInt64
        package var kind: Kind
        /// How often, the captured ones included.
        package var count: UInt32
        /// How many of them have a report.
        package var captured: UInt32
        /// CLOCK_MONOTONIC.
        package var firstNanoseconds: UInt64
        /// CLOCK_MONOTONIC, to about a second.
        package var lastNanoseconds: UInt64
        package var subject: String
        package var message: String

        package init(
            fingerprint: UInt64, kind: Kind, count: UInt32, captured: UInt32, firstNanoseconds: UInt64,
            lastNanoseconds: UInt64, subject: String, message: String
        ) {
            self.fingerprint = fingerprint
            self.kind = kind
            self.count = count
            self.captured = captured
            self.firstNanoseconds = firstNanoseconds
            self.lastNanoseconds = lastNanoseconds
            self.subject = subject
            self.message = message
        }
    }

    /// The entries that are complete, the most frequent first.
    package func occasions() throws(CrashPageError) -> [Occasion] {
        try read(
            granite_occasion.self, at: Int(GRANITE_OFFSET_OCCASIONS.rawValue), count: Int(GRANITE_MAX_OCCASIONS),
            while: "reading the occasions in the crash page"
        ).filter { $0.fingerprint != 0 && $0.sequence & 1 == 0 && $0.count > 0 }.map {
            Occasion(
                fingerprint: $0.fingerprint, kind: Kind(rawValue: $0.kind) ?? .none, count: $0.count,
                captured: $0.captured, firstNanoseconds: $0.first_ns, lastNanoseconds: $0.last_ns,
                subject: text(of: $0.subject), message: text(of: $0.message))
        }.sorted { ($1.count, $0.fingerprint) < ($0.count, $1.fingerprint) }
    }

    /// An exception of C++ or a panic of Rust.
    package struct Throw: Sendable, Equatable {
        package var tid: UInt32
        /// CLOCK_MONOTONIC.
        package var timeNanoseconds: UInt64
        /// `C++` or `Rust`, nil: of another runtime.
        package var language: String?
        /// It was thrown before, perhaps by another thread; the frames are those of that throw.
        package var isAgain = false
        /// Mangled.
        package var type: String
        package var message: String
        /// Return addresses, innermost first.
        package var frames: [Address]
    }

    /// What was thrown last and is written completely, oldest first.
    package func thrown() throws(CrashPageError) -> [Throw] {
        try read(
            granite_throw.self, at: Int(GRANITE_OFFSET_THROWS.rawValue), count: Int(GRANITE_MAX_THROWS),
            while: "reading the exceptions in the crash page"
        ).filter { $0.tid != 0 && $0.sequence & 1 == 0 }.map { entry in
            Throw(
                tid: entry.tid, timeNanoseconds: entry.time_ns, language: Self.language(entry.language),
                isAgain: entry.language & GRANITE_THROW_AGAIN != 0, type: text(of: entry.type),
                message: text(of: entry.message),
                frames: words(of: entry.frames, count: min(Int(entry.frame_count), Int(GRANITE_MAX_THROW_FRAMES))).map(
                    Address.init))
        }.sorted { $0.timeNanoseconds < $1.timeNanoseconds }
    }

    private static func language(_ number: UInt32) -> String? {
        switch number & ~GRANITE_THROW_AGAIN {
        case GRANITE_THROW_CPLUSPLUS.rawValue: "C++"
        case GRANITE_THROW_RUST.rawValue: "Rust"
        default: nil
        }
    }
}
