// Defines what the Python reader found: the values between reading an interpreter's memory and merging it with native
// frames.

/// All Python threads of a process, at one moment.
package struct PythonSnapshot: Equatable, Sendable {
    /// The main interpreter's first, each interpreter's newest first.
    package var threads: [PythonThread] = []
    /// Address of the thread state that holds the main interpreter's GIL; nil if nobody does.
    package var gilHolder: UInt64?
    /// Whether the main interpreter's GIL is held; nil if that could not be read.
    package var gilLocked: Bool?
    /// Whether a garbage collection was running; nil if that could not be read.
    package var collecting: Bool?
    /// 0 to 2, the generation that a running collection works on; nil if none runs, or it cannot be told.
    package var collectedGeneration: Int?
    /// Interpreters of the process.
    package var interpreters = 0
    /// Where the GILs lie in memory: a thread that sleeps on one of these addresses waits for it.
    package var gilRanges: [MemoryRange] = []
    /// What is missing and why, a sentence each.
    package var problems: [String] = []
    /// True if more memory was needed than may be read.
    package var isExhausted = false
    /// Batches of memory that were asked for.
    package var roundTrips = 0

    /// The Python side of a native thread, by its thread pointer (fs base, `pthread_self()`).
    ///
    /// With subinterpreters a thread may have several states, and up to 3.12 the first one of a subinterpreter names the
    /// thread that made it, whoever runs it; then this is the main interpreter's. ``PythonMatching`` knows better.
    package func thread(withID threadID: UInt64) -> PythonThread? { threads.first { $0.threadID == threadID } }
}

/// One thread that runs Python.
package struct PythonThread: Equatable, Sendable {
    /// Address of its thread state (PyThreadState).
    package var state: UInt64
    /// pthread_self(), which is the thread pointer that the handler saved (fs base).
    package var threadID: UInt64
    /// gettid(2); CPython keeps it from 3.11 on.
    package var nativeID: UInt64?
    package var holdsGIL: Bool
    /// Of its interpreter, in the order of their making; 0 is the main one.
    package var interpreter: Int
    /// `threading.Thread.name`; nil for the main thread and for those that the threading module did not start.
    package var name: String?
    /// Read for the crashed thread alone.
    package var exception: PythonException?
    /// An address within the innermost interpreter loop's part of the C stack; nil before 3.10 and without frames.
    package var stackAddress: UInt64?
    /// Innermost first, at most ``PythonFrameWalk/maxFramesPerThread``; shims included, the merge needs them.
    package var frames: [PythonFrame]
    /// True if there are more frames outside of these, or if they could not be read.
    package var truncated: Bool
}

/// One activation of a Python function, or the shim that ends a run of the interpreter loop.
package struct PythonFrame: Equatable, Sendable {
    /// `co_filename`; empty for a shim.
    package var file: String
    /// `co_qualname`, `co_name` before 3.11; empty for a shim.
    package var name: String
    /// nil where the compiler gave the instruction no line.
    package var line: Int?
    /// The C function `_PyEval_EvalFrameDefault` that runs this frame runs none outside of it.
    package var endsNativeEval: Bool
    /// Not a function of the program: CPython 3.12 and later put one below the frames of each interpreter loop.
    package var isShim: Bool
    /// Only of the crashed thread, and only if they were asked for.
    package var locals: [PythonLocal]?

    package init(file: String, name: String, line: Int?, endsNativeEval: Bool, isShim: Bool = false) {
        self.file = file
        self.name = name
        self.line = line
        self.endsNativeEval = endsNativeEval
        self.isShim = isShim
    }

    static let shim = PythonFrame(file: "", name: "", line: nil, endsNativeEval: true, isShim: true)
}
