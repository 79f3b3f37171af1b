// Prints an application's exception with the request that it happened in. Separate because it must work whatever state
// Python is in.

import CPython
import GraniteExchange

enum RequestError {
    /// Prints the exception that is set to sys.stderr, with its traceback and chain, and clears it.
    static func report(_ request: Request, idPrefix: String) {
        if PyErr_Occurred() == nil {  // an extension's bug: it returned NULL and said nothing
            PyErr_SetString(granite_python_RuntimeError(), "the application failed without an exception")
        }
        let exception = PythonException.fetch()
        defer { exception.release() }
        exception.tellHooks()
        if let errors = PySys_GetObject("stderr"), errors != granite_python_None() {
            let id = idPrefix + RequestIDs.text(request.number, digits: RequestIDs.numberDigits)
            let line = "granite: request \(id) failed: \(text(request.method)) \(text(request.target))\n"
            _ = line.withCString { PyFile_WriteString($0, errors) }
            PyErr_Clear()
        }
        exception.display()
        PyErr_Clear()
    }

    /// Bytes of a client, fit for a log line.
    private static func text(_ bytes: UnsafeRawBufferPointer) -> String {
        let shown = bytes.prefix(500).map { $0 < 33 || $0 > 126 ? UInt8(ascii: "?") : $0 }
        return String(decoding: shown, as: UTF8.self) + (bytes.count > 500 ? "…" : "")
    }
}
