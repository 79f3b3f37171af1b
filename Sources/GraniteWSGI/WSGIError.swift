// Defines why Python, or the application in it, could not be started. Errors of single requests never leave this
// module: they become responses.

/// A failure to find Python, to start it, or to load the application.
package struct WSGIError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: Equatable, Sendable {
        /// No interpreter at the place asked for, or none on PATH.
        case pythonNotFound
        /// The interpreter could not be run, or did not answer in time.
        case pythonFailed
        /// Not CPython, not 3.9 to 3.13, or a free-threaded build.
        case unsupportedPython
        /// The interpreter exists, its shared library does not.
        case libpythonNotFound
        /// The shared library could not be opened, lacks a function, or is not the interpreter's.
        case libpythonUnusable
        /// CPython refused to start in this process, or started with another prefix than the virtual environment's.
        case interpreterFailed
        /// The target is not `module:attribute`.
        case invalidTarget
        case moduleNotFound
        /// The module exists, and raised while it was imported.
        case importFailed
        case attributeNotFound
        /// The factory raised.
        case factoryFailed
        case notCallable
    }

    package var code: Code
    /// What failed, naming the file, module or attribute.
    package var message: String
    /// What to type or install instead.
    package var hint: String?
    /// The Python traceback, several lines without the last newline, if Python code raised.
    package var traceback: String?
    /// The errno(3) of the system call that failed, else 0.
    package var errno: Int32

    package init(_ code: Code, _ message: String, hint: String? = nil, traceback: String? = nil, errno: Int32 = 0) {
        self.code = code
        self.message = message
        self.hint = hint
        self.traceback = traceback
        self.errno = errno
    }

    /// One line: message and hint. The traceback is for whoever prints it below.
    package var description: String {
        guard let hint else { return message }
        return message + ". " + hint
    }
}
