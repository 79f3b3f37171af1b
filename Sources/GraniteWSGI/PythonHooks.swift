// Tells the worker of exceptions that Python itself can only print: in `__del__`, or at the end of a thread. The hooks
// are built-in functions: no Python frame of ours stands between the place of the error and the report.

import CPython

/// What `sys.unraisablehook` and `threading.excepthook` call.
package final class PythonHooks: Sendable {
    package enum Kind: Sendable {
        /// `sys.unraisablehook`.
        case unraisable
        /// `threading.excepthook`, but for SystemExit, which ends a thread silently.
        case threadException
    }

    /// Called on the thread where the exception is, its stack intact, with the GIL held. Must not call Python.
    ///
    /// - Parameters:
    ///   - subject: the object that raised as `repr` shows it, or the thread's name; "" if unknown; at most about 300
    ///     bytes.
    ///   - message: "RuntimeError: … (app.py:14 in lookup)", the innermost line of the traceback; at most about 1,600
    ///     bytes.
    package typealias Report = @Sendable (_ kind: Kind, _ subject: String, _ message: String) -> Void

    private let report: Report

    private init(report: @escaping Report) { self.report = report }

    /// Puts the hooks in front of those that are set. Once per process, with the GIL free, before the application is
    /// loaded: what it sets later replaces ours, and may chain to it.
    package static func install(_ interpreter: PythonInterpreter, report: @escaping Report) throws(WSGIError) {
        let hooks = PythonHooks(report: report)
        try interpreter.withGIL { () throws(WSGIError) in
            guard let sys = PyImport_ImportModule("sys"), let threading = PyImport_ImportModule("threading"),
                chain(hooks, sys, "unraisablehook", unraisableMethod),
                chain(hooks, threading, "excepthook", threadMethod)
            else {
                let exception = PythonException.fetch()
                defer { exception.release() }
                throw WSGIError(
                    .interpreterFailed, "the hooks for unraisable exceptions could not be set: \(exception.summary)")
            }
        }
    }

    /// The hook's `self`: a tuple of a capsule with the hooks, kept for the process's life, and the hook that was set
    /// before.
    private static func chain(
        _ hooks: PythonHooks, _ module: Object, _ name: String, _ method: UnsafeMutablePointer<PyMethodDef>
    ) -> Bool {
        guard let earlier = PyObject_GetAttrString(module, name), let bound = PyTuple_New(2),
            let capsule = PyCapsule_New(Unmanaged.passRetained(hooks).toOpaque(), nil, nil)
        else { return false }
        _ = PyTuple_SetItem(bound, 0, capsule)
        _ = PyTuple_SetItem(bound, 1, earlier)
        defer { bound.release() }
        guard let function = PyCFunction_NewEx(method, bound, nil) else { return false }
        defer { function.release() }
        return PyObject_SetAttrString(module, name, function) == 0
    }

    nonisolated(unsafe) private static let unraisableMethod = HeapType.table([  // never written
        HeapType.method("granite_unraisablehook", oneArgument: { handle(.unraisable, bound: $0, arguments: $1) })
    ])
    nonisolated(unsafe) private static let threadMethod = HeapType.table([  // never written
        HeapType.method("granite_excepthook", oneArgument: { handle(.threadException, bound: $0, arguments: $1) })
    ])

    private static func handle(_ kind: Kind, bound: Object?, arguments: Object?) -> Object? {
        guard let bound, let arguments, let capsule = PyTuple_GetItem(bound, 0),
            let earlier = PyTuple_GetItem(bound, 1),
            let pointer = PyCapsule_GetPointer(capsule, nil)
        else { return nil }
        tell(Unmanaged<PythonHooks>.fromOpaque(pointer).takeUnretainedValue(), kind, arguments)
        PyErr_Clear()
        return pythonCall(earlier, arguments)  // prints, as ever; its errors are its own
    }

    /// What goes wrong here is swallowed: a report must not become a second error.
    private static func tell(_ hooks: PythonHooks, _ kind: Kind, _ arguments: Object) {
        let type = arguments.attribute("exc_type")
        let value = arguments.attribute("exc_value")
        let traceback = arguments.attribute("exc_traceback")
        defer { for object in [type, value, traceback] { object?.release() } }
        if kind == .threadException, PyErr_GivenExceptionMatches(type, granite_python_SystemExit()) != 0 { return }
        var message = PythonException.summary(type: type, value: value)
        if let line = PythonException.innermostLine(ofTraceback: traceback) { message += " (\(line))" }
        hooks.report(kind, subject(kind, arguments), message)
    }

    private static func subject(_ kind: Kind, _ arguments: Object) -> String {
        guard let object = arguments.attribute(kind == .unraisable ? "object" : "thread"),
            object != granite_python_None()
        else { return "" }
        defer { object.release() }
        if kind == .threadException, let name = PythonText.attribute(object, "name", limit: 300) { return name }
        return PythonText.repr(object, limit: 300) ?? PythonText.typeName(object)
    }
}
