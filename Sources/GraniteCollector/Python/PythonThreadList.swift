// Defines the walk over interpreters and their threads: who there is, and who holds the GIL. Their frames are read
// after it.

/// What `_PyRuntime` leads to before any frame is read.
struct PythonThreadList {
    static let maxInterpreters = 64
    static let maxThreads = 1024

    struct Thread {
        var state: UInt64
        var threadID: UInt64
        var nativeID: UInt64?
        var holdsGIL: Bool
        /// Of the thread's interpreter, from 0 in the order of their making; the main interpreter's is 0.
        var interpreter = 0
    }

    /// The main interpreter's first, each interpreter's newest first.
    var threads: [Thread] = []
    var gilHolder: UInt64?
    var gilLocked: Bool?
    var collecting: Bool?
    /// Addresses of the GILs: one, or from 3.12 on up to one for each interpreter.
    var gils: Set<UInt64> = []
    /// Interpreters whose collector runs.
    var collectors: [UInt64] = []
    var interpreters = 0
    var problems: [String] = []

    /// `checksRuntime`: each interpreter must point back to the runtime. Not asked of 3.13, which proves itself by its
    /// cookie.
    init(runtime: UInt64, checksRuntime: Bool, layout: PythonLayout, pages: RemotePages) throws(PythonReadError) {
        guard var interpreter: UInt64 = pages.integer(at: runtime &+ UInt64(layout.runtimeInterpreters)) else {
            throw PythonReadError(.unreadable, "The memory of Python's runtime could not be read.")
        }
        if interpreter == 0 {
            problems.append("Python's runtime has no interpreter: it has not started, or has ended.")
        }
        var seen: Set<UInt64> = []
        while interpreter != 0 {
            guard seen.count < Self.maxInterpreters, seen.insert(interpreter).inserted else {
                problems.append(
                    "Python's list of interpreters is damaged, or has more than \(Self.maxInterpreters) entries.")
                break
            }
            pages.fetch(
                [
                    layout.interpreterNext, layout.interpreterRuntime, layout.interpreterThreads,
                    layout.interpreterCollecting,
                    layout.interpreterGIL ?? layout.interpreterNext,
                ].map { MemoryRange(address: interpreter &+ UInt64($0), length: 8) })
            if checksRuntime, pages.integer(at: interpreter &+ UInt64(layout.interpreterRuntime)) != runtime {
                if seen.count == 1 {
                    throw PythonReadError(
                        .notARuntime, "The address that the worker gave for Python's runtime holds something else.")
                }
                problems.append("Python's list of interpreters is damaged; the threads of the rest are missing.")
                break
            }
            readGIL(of: interpreter, runtime: runtime, layout: layout, pages: pages)
            var found = readThreads(of: interpreter, layout: layout, pages: pages)
            for index in found.indices { found[index].interpreter = seen.count - 1 }
            threads = found + threads
            guard let next: UInt64 = pages.integer(at: interpreter &+ UInt64(layout.interpreterNext)) else {
                problems.append("Python's list of interpreters could not be read to its end.")
                break
            }
            interpreter = next
        }
        interpreters = seen.count
        // The list is newest first.
        for index in threads.indices { threads[index].interpreter = seen.count - 1 - threads[index].interpreter }
    }

    private mutating func readThreads(
        of interpreter: UInt64, layout: PythonLayout, pages: RemotePages
    ) -> [Thread] {
        var found: [Thread] = []
        guard var state: UInt64 = pages.integer(at: interpreter &+ UInt64(layout.interpreterThreads)) else {
            problems.append("The list of Python's threads could not be read.")
            return found
        }
        var seen: Set<UInt64> = []
        while state != 0 {
            guard threads.count + found.count < Self.maxThreads, seen.insert(state).inserted else {
                problems.append(
                    "The list of Python's threads is damaged, or has more than \(Self.maxThreads) entries.")
                break
            }
            pages.fetch([MemoryRange(address: state, length: 1)], readAhead: RemotePages.chainReadAhead)
            guard pages.integer(at: state &+ UInt64(layout.threadInterpreter)) == interpreter,
                let threadID: UInt64 = pages.integer(at: state &+ UInt64(layout.threadID)),
                let next: UInt64 = pages.integer(at: state &+ UInt64(layout.threadNext))
            else {
                problems.append(
                    "The list of Python's threads is damaged after \(found.count) entries; the rest is missing.")
                break
            }
            found.append(
                Thread(
                    state: state, threadID: threadID,
                    nativeID: layout.threadNativeID.flatMap { pages.integer(at: state &+ UInt64($0)) },
                    holdsGIL: gilLocked == true && gilHolder == state))
            state = next
        }
        return found
    }

    /// With a GIL for each interpreter (PEP 684) the last word is the main interpreter's: it is the oldest, and the
    /// list is newest first.
    private mutating func readGIL(of interpreter: UInt64, runtime: UInt64, layout: PythonLayout, pages: RemotePages) {
        gilHolder = nil
        gilLocked = nil
        let gil =
            layout.runtimeGIL.map { runtime &+ UInt64($0) }
            ?? layout.interpreterGIL.flatMap { pages.integer(at: interpreter &+ UInt64($0)) }
        if let gil, let locked: Int32 = pages.integer(at: gil &+ UInt64(layout.gilLocked)),
            let holder: UInt64 = pages.integer(at: gil &+ UInt64(layout.gilHolder)),
            (-1...1).contains(locked)  // -1: not yet made
        {
            gils.insert(gil)
            gilLocked = locked == 1
            // The holder stays written down after the release, for a fair hand-over (ceval_gil.h).
            gilHolder = locked == 1 && holder != 0 ? holder : nil
        }
        if let word: Int32 = pages.integer(at: interpreter &+ UInt64(layout.interpreterCollecting)),
            word == 0 || word == 1
        {
            collecting = collecting == true || word == 1
            if word == 1 { collectors.append(interpreter) }
        }
    }
}
