// Defines the door to the capture core: what a program calls so that its crash can be explained.
// It is separate from the core because the core is C, for signal handlers.

import CGraniteCapture
import Glibc

/// Crash capture of this process. All of it is process-wide, as signal handlers are.
public enum Capture {
    /// How to install.
    public struct Options: Sendable {
        /// A crash page that a supervisor made, inherited. nil: the process makes one for itself, which ends with it.
        public var pageDescriptor: Int32?
        /// The worker's end of the memory socket, connected. nil: nobody will ask for memory.
        public var memorySocket: Int32?
        /// How much to capture. The default is what GRANITE_BACKTRACE says, else `short`.
        public var level: BacktraceLevel
        /// How long a crashing process waits for its threads to stop.
        public var parkDeadline: Duration
        /// How long a crashing process waits for the collector, from the first message to the last.
        public var serveDeadline: Duration
        /// Copied of the stack of each thread, in bytes.
        public var stackBytes: Int
        /// Copied of the stack of the crashed thread, in bytes: a main thread's whole stack under the usual limit of 8
        /// MiB. Of a larger one the innermost three quarters and the outermost quarter are kept.
        public var crashedStackBytes: Int

        /// Options with their defaults; the level is read from the environment if none is given.
        public init(
            pageDescriptor: Int32? = nil, memorySocket: Int32? = nil, level: BacktraceLevel? = nil,
            parkDeadline: Duration = .milliseconds(50), serveDeadline: Duration = .seconds(1),
            stackBytes: Int = 64 << 10,
            crashedStackBytes: Int = (8 << 20) + (256 << 10)
        ) {
            self.pageDescriptor = pageDescriptor
            self.memorySocket = memorySocket
            self.level =
                level ?? BacktraceLevel(environmentValue: getenv("GRANITE_BACKTRACE").map { String(cString: $0) })
            self.parkDeadline = parkDeadline
            self.serveDeadline = serveDeadline
            self.stackBytes = stackBytes
            self.crashedStackBytes = crashedStackBytes
        }
    }

    /// Installs the handlers of SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP and SIGSYS, and gives the calling
    /// thread and every later one an alternate stack. Call once, first thing in main, before other threads run.
    ///
    /// A child of fork(2) that does not exec is not captured: its handlers are reset and its page is memory of its own.
    public static func install(_ options: Options = Options()) throws(CaptureError) {
        var core = granite_capture_options()
        core.page_fd = options.pageDescriptor ?? -1
        core.memory_socket = options.memorySocket ?? -1
        core.level = options.level.rawValue
        core.park_deadline_ms = milliseconds(options.parkDeadline)
        core.serve_deadline_ms = milliseconds(options.serveDeadline)
        core.stack_bytes = max(1, options.stackBytes)
        core.crashed_stack_bytes = max(1, options.crashedStackBytes)
        let error = granite_capture_install(&core)
        guard error == 0 else { throw CaptureError(errno: error) }
    }

    /// Tells where CPython keeps its state, so that the collector can read Python frames. Call once the interpreter is
    /// initialized.
    ///
    /// - Parameters:
    ///   - runtime: the address of `_PyRuntime`.
    ///   - version: `PY_VERSION_HEX`, e.g. 0x030b07f0.
    public static func setPython(runtime: UInt64, version: UInt32) {
        granite_capture_set_python(runtime, version)
    }

    /// Takes note of modules that dlopen(3) loaded since the last call. Any thread; cheap if nothing changed: call it
    /// about once a second.
    public static func refreshModules() {
        granite_capture_refresh_modules()
    }

    /// What a capture that the process survives is about.
    public enum Occasion: UInt32, Sendable {
        /// A value was released on a thread that does not own it.
        case dropSite = 2
        /// Python reported an exception that nobody could catch (`sys.unraisablehook`).
        case unraisable = 3
        /// A Python thread ended by an exception (`threading.excepthook`).
        case threadException = 4
        /// A person asked.
        case dump = 5
        /// Memory grows.
        case growth = 8
    }

    /// Captures all threads now and goes on. Any thread, not a signal handler. Other threads stand still for some
    /// milliseconds, and some of their system calls (nanosleep, poll, epoll_wait) may end early with EINTR.
    ///
    /// - Parameters:
    ///   - subject: the value's label or the object's repr; cut to 255 bytes.
    ///   - message: what is wrong; cut to 1023 bytes.
    /// - Returns: false if the occasion was only counted: capture is off, another capture runs, or there were more than
    ///   ten in a row and one a second since.
    @discardableResult
    public static func now(_ occasion: Occasion, subject: String, message: String) -> Bool {
        granite_capture_now(occasion.rawValue, subject, message, 0, nil, 0, nil, 0)
    }

    /// Counts an occasion, and captures all threads where it wants a report: the first of its kind, and one again ten minutes after the last
    /// report. As ``now(_:subject:message:)`` otherwise.
    ///
    /// - Parameters:
    ///   - fingerprint: equal for the same occasion, not 0.
    ///   - details: lines of `key=value`, each ended by a newline; asked for only if there will be a report. Cut to 4095 bytes.
    @discardableResult
    public static func count(
        _ occasion: Occasion, fingerprint: UInt64, subject: String, message: String, details: () -> String
    ) -> Bool {
        guard granite_occasion_count(occasion.rawValue, fingerprint, subject, message) else { return false }
        return subject.withCString { subject in
            message.withCString { message in
                details().withCString { details in
                    var report = granite_occasion_report()
                    (report.kind, report.fingerprint) = (occasion.rawValue, fingerprint)
                    (report.subject, report.message, report.details) = (subject, message, details)
                    return granite_capture_occasion(&report)
                }
            }
        }
    }

    /// gettid(2) of the calling thread: one system call per thread, then a load.
    public static var threadID: UInt32 { granite_capture_thread_id() }

    private static func milliseconds(_ duration: Duration) -> UInt32 {
        let (seconds, attoseconds) = duration.components
        guard seconds < 3600 else { return 3_600_000 }
        return UInt32(clamping: max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000))
    }
}
