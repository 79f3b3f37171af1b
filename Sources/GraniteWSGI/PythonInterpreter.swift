// Starts CPython in this process with no Python frame of ours below the application: a server's frame in the caller
// chain is what a caught exception keeps alive until the garbage collector frees it, on whichever thread that runs.

import CPython
import Glibc

/// The one interpreter of a process.
package final class PythonInterpreter: @unchecked Sendable {  // the main thread's state is used by that thread alone
    package let installation: PythonInstallation
    /// The address of `_PyRuntime`: where a reader of this process's memory starts.
    package let runtimeAddress: UInt64
    private let mainThread: pthread_t
    private let mainState: OpaquePointer

    private init(installation: PythonInstallation, runtimeAddress: UInt64, mainState: OpaquePointer) {
        self.installation = installation
        self.runtimeAddress = runtimeAddress
        self.mainState = mainState
        mainThread = pthread_self()
    }

    /// Loads libpython and starts CPython on the calling thread, which becomes Python's main thread. Once per process.
    /// Honours the virtual environment, site-packages and the PYTHON… variables; installs no signal handlers, but
    /// ignores SIGPIPE and SIGXFSZ as `python` does. The GIL is free on return. If CPython cannot find its standard
    /// library it ends the process with status 1 and its own message.
    ///
    /// - Parameters:
    ///   - arguments: `sys.argv`.
    ///   - directory: put at `sys.path[0]`, absolute; nil for none.
    package static func start(
        _ installation: PythonInstallation, arguments: [String], directory: String?
    ) throws(WSGIError) -> PythonInterpreter {
        try loadLibrary(installation)
        try initialize(installation)
        signal(SIGPIPE, SIG_IGN)  // what Python programs take for granted: BrokenPipeError, not death
        signal(SIGXFSZ, SIG_IGN)
        let failure = configureSys(installation, arguments, directory)
        guard let state = PyEval_SaveThread(), failure == nil else {
            throw failure ?? WSGIError(.interpreterFailed, "Python started without a thread state")
        }
        return PythonInterpreter(
            installation: installation, runtimeAddress: UInt64(UInt(bitPattern: granite_python_runtime())),
            mainState: state)
    }

    private static func loadLibrary(_ installation: PythonInstallation) throws(WSGIError) {
        var text = [CChar](repeating: 0, count: 512)
        let result = granite_python_load(installation.library, &text, text.count)
        let detail = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        switch result {
        case GRANITE_PYTHON_LOADED: break
        case GRANITE_PYTHON_MISSING_SYMBOL:
            throw WSGIError(
                .libpythonUnusable, "\(installation.library) has no function \(detail)",
                hint: "Granite runs CPython 3.9 to 3.13 with a GIL")
        case GRANITE_PYTHON_FREE_THREADED:
            throw WSGIError(
                .unsupportedPython,
                "\(installation.library) is a free-threaded build (\(detail)), which Granite does not run yet",
                hint: "Give the build with the GIL with --python")
        default:
            throw WSGIError(.libpythonUnusable, "cannot open \(installation.library): \(detail)")
        }
        // "3.11.7 (main, Jan 2 2024, …) [GCC 12.2.0]", "3.13.0+ (heads/…"
        let found = String(cString: Py_GetVersion()).prefix { $0.isNumber || $0 == "." }
        guard found == installation.version else {
            throw WSGIError(
                .libpythonUnusable,
                "\(installation.library) is Python \(found), but \(installation.executable) is \(installation.version)",
                hint: "Install the library of that very version")
        }
    }

    private static func initialize(_ installation: PythonInstallation) throws(WSGIError) {
        // As `python` starts: PYTHONUTF8 and UTF-8 mode in the C locale count, which Py_InitializeEx alone would
        // ignore. A PyPreConfig is ten ints in every version; the buffer has room for many more.
        let failure = withUnsafeTemporaryAllocation(byteCount: 512, alignment: 16) { buffer -> String? in
            guard let config = buffer.baseAddress else { return "no memory" }
            memset(config, 0, buffer.count)
            PyPreConfig_InitPythonConfig(config)
            let status = Py_PreInitialize(config)
            return status.type == 0 ? nil : status.err_msg.map { String(cString: $0) } ?? "unknown reason"
        }
        if let failure { throw WSGIError(.interpreterFailed, "Python does not start: \(failure)") }
        // The program's name, not PyConfig, whose layout differs by version, makes getpath find pyvenv.cfg. Kept for
        // the process's life.
        guard let name = Py_DecodeLocale(installation.executable, nil) else {
            throw WSGIError(.interpreterFailed, "the path \(installation.executable) cannot be decoded in this locale")
        }
        Py_SetProgramName(name)
        Py_InitializeEx(0)
    }

    private static func configureSys(
        _ installation: PythonInstallation, _ arguments: [String], _ directory: String?
    ) -> WSGIError? {
        func prefix(_ name: String) -> String? { PySys_GetObject(name).flatMap { PythonText.string($0) } }
        let found = prefix("prefix") ?? "none"
        guard found == installation.prefix || samePlace(found, installation.prefix) else {
            return WSGIError(
                .interpreterFailed,
                "Python took \(found) for its prefix, but \(installation.executable) has \(installation.prefix)",
                hint: "Unset PYTHONHOME, or make the virtual environment anew")
        }
        guard let argv = PyList_New(0) else { return WSGIError(.interpreterFailed, "no memory for sys.argv") }
        defer { argv.release() }
        for argument in arguments {
            guard let text = pythonPath(argument) else { continue }
            _ = PyList_Append(argv, text)
            text.release()
        }
        _ = PySys_SetObject("argv", argv)
        if let directory, let path = PySys_GetObject("path"), let text = pythonPath(directory) {
            _ = PyList_Insert(path, 0, text)
            text.release()
        }
        PyErr_Clear()
        return nil
    }

    private static func samePlace(_ first: String, _ second: String) -> Bool {
        var one = stat()
        var two = stat()
        return stat(first, &one) == 0 && stat(second, &two) == 0 && one.st_dev == two.st_dev && one.st_ino == two.st_ino
    }

    /// Whether the calling thread is the one that ``start(_:arguments:directory:)`` was called on.
    package var isMainThread: Bool { pthread_equal(pthread_self(), mainThread) != 0 }

    /// Runs `body` with the GIL held, from any thread; nests. Python objects must not leave it.
    package func withGIL<Value, Failure: Error>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
        let state = PyGILState_Ensure()
        defer { PyGILState_Release(state) }
        return try body()
    }

    /// The state with which the calling thread enters Python; made here if it is not the main thread's.
    func makeThreadState() -> PythonThreadState {
        if isMainThread { return PythonThreadState(state: mainState, ensured: nil) }
        let ensured = PyGILState_Ensure()
        guard let state = PyEval_SaveThread() else {
            preconditionFailure("PyGILState_Ensure leaves a current thread state")
        }
        return PythonThreadState(state: state, ensured: ensured)
    }

    /// Ends Python: waits for non-daemon threads, runs atexit handlers, flushes the standard streams. On the main
    /// thread, when every application thread was closed. Nothing of Python may be used after.
    ///
    /// - Returns: false when flushing the standard streams failed.
    @discardableResult
    package func finalize() -> Bool {
        precondition(isMainThread, "Python ends on the thread that started it")
        PyEval_RestoreThread(mainState)
        return Py_FinalizeEx() == 0
    }
}

/// How one thread enters and leaves Python: always with the same thread state, so that thread-locals live on.
struct PythonThreadState {
    fileprivate let state: OpaquePointer
    /// What PyGILState_Ensure returned; nil for the main thread, whose state is the interpreter's.
    fileprivate let ensured: Int32?

    /// Takes the GIL. May block.
    func enter() { PyEval_RestoreThread(state) }

    /// Gives the GIL up.
    func leave() { _ = PyEval_SaveThread() }

    /// Entered: frees the state with its thread-locals, unless it is the main thread's, and gives the GIL up.
    func closeAndLeave() {
        if let ensured { PyGILState_Release(ensured) } else { leave() }
    }
}
