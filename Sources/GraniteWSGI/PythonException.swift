// Takes a raised Python exception, to print it, to quote it, or to say where it came from.

import CGraniteHooks
import CPython

/// A fetched exception. Owns its references until ``release()``; all use needs the GIL.
struct PythonException {
    private var type: Object?
    private var value: Object?
    private var traceback: Object?

    /// Takes the exception that is set on this thread, normalized, with its traceback attached; none is set after.
    static func fetch() -> PythonException {
        var type: Object?
        var value: Object?
        var traceback: Object?
        PyErr_Fetch(&type, &value, &traceback)
        PyErr_NormalizeException(&type, &value, &traceback)
        if let value, let traceback { _ = PyException_SetTraceback(value, traceback) }
        return PythonException(type: type, value: value, traceback: traceback)
    }

    /// Frees it: the frames of its traceback, and what they hold, may die here.
    func release() {
        traceback?.release()
        value?.release()
        type?.release()
    }

    func matches(_ type: Object) -> Bool { PyErr_GivenExceptionMatches(self.type, type) != 0 }

    /// "ValueError: no such shop".
    var summary: String { Self.summary(type: type, value: value) }

    static func summary(type: Object?, value: Object?) -> String {
        let name = type.map(PythonText.name(ofType:)) ?? "error"
        guard let value, value != granite_python_None(), let text = PythonText.str(value, limit: 1000), !text.isEmpty
        else { return name }
        return name + ": " + text
    }

    /// A str attribute of the exception itself, such as ModuleNotFoundError's `name`.
    func attribute(_ name: String) -> String? { value.flatMap { PythonText.attribute($0, name) } }

    /// Prints it with its chain to sys.stderr, as an uncaught exception is, but neither calls sys.excepthook nor exits
    /// on SystemExit.
    func display() { PyErr_Display(type, value, traceback) }

    /// Lets the hooks report a Rust panic, or an object that was used on a thread that it does not belong to; they ignore all else.
    func tellHooks() { granite_hooks_note_exception(type, value, traceback) }

    /// What `traceback.format_exception` makes of it; only the summary if even that fails.
    func formatted() -> String {
        guard let module = PyImport_ImportModule("traceback") else {
            PyErr_Clear()
            return summary
        }
        defer { module.release() }
        guard let function = module.attribute("format_exception"), let arguments = PyTuple_New(3) else {
            return summary
        }
        defer { function.release(); arguments.release() }
        // PyTuple_SetItem takes the reference over.
        for (index, part) in [type, value, traceback].enumerated() {
            _ = PyTuple_SetItem(arguments, index, (part ?? granite_python_None()).retained())
        }
        guard let lines = PyObject_CallObject(function, arguments) else {
            PyErr_Clear()
            return summary
        }
        defer { lines.release() }
        guard let empty = pythonText(""), let text = PyUnicode_Join(empty, lines) else {
            PyErr_Clear()
            return summary
        }
        defer { empty.release(); text.release() }
        var result = PythonText.string(text, limit: 64 * 1024) ?? summary
        while result.last == "\n" { result.removeLast() }
        return result
    }
}
