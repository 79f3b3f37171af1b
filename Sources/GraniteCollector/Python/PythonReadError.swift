// Defines why a worker's Python frames could not be read at all. What is only partly readable is a problem in the
// snapshot instead.

/// No Python frames: the reader does not know this interpreter, or found something else where it should be.
package struct PythonReadError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: Equatable, Sendable {
        /// No layout is known for the version; guessing would show wrong frames.
        case unsupportedVersion
        /// A free-threaded build: its objects are laid out differently.
        case freeThreaded
        /// What lies at the address is not the runtime of the version that the worker told.
        case notARuntime
        /// The memory cannot be read.
        case unreadable
    }

    package let code: Code
    /// A sentence for the report.
    package let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
