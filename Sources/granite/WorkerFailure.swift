// Why a worker could not start, as the operator is told, and the exit code that says it to scripts.

import GraniteWSGI

/// Exit codes of `granite serve` and `granite worker`.
enum ServerExitCode: Int32, Sendable {
    case stopped = 0
    case internalError = 1
    case applicationFailed = 3
    case pythonUnusable = 4
    case cannotListen = 5
    case crashDirectoryUnusable = 6
}

/// A worker that ends before it was ready.
struct WorkerFailure: Error {
    var code: ServerExitCode
    /// A sentence, then details a line each.
    var message: String

    init(code: ServerExitCode, message: String) {
        self.code = code
        self.message = message
    }

    init(_ error: WSGIError) {
        code = Self.exitCode(of: error)
        let sentence = error.description.hasSuffix("?") ? error.description : error.description + "."
        message = ([sentence] + (error.traceback.map { [$0] } ?? [])).joined(separator: "\n")
    }

    static func exitCode(of error: WSGIError) -> ServerExitCode {
        switch error.code {
        case .pythonNotFound, .pythonFailed, .unsupportedPython, .libpythonNotFound, .libpythonUnusable,
            .interpreterFailed:
            .pythonUnusable
        case .invalidTarget, .moduleNotFound, .importFailed, .attributeNotFound, .factoryFailed, .notCallable:
            .applicationFailed
        }
    }
}
