// Defines the root of a crash report, schema `granite.crash/1`. Its JSON Schema lies beside it.
// Every field is optional for readers: an older or truncated report still shows what it has.

/// One death, drop site or dump, and all that is known about it.
package struct CrashReport: Codable, Sendable, Equatable {
    /// ULID; also the file's name.
    package var id: String
    /// `granite.crash/1`.
    package var schema: String = CrashReport.schemaName
    /// When it happened, RFC 3339 in UTC with milliseconds.
    package var time: String?
    package var kind: Kind?
    /// One sentence that says what happened.
    package var reason: String?
    package var diagnosis: Diagnosis?
    package var signal: SignalInfo?
    package var process: ProcessInfo?
    package var worker: WorkerInfo?
    /// The request on the crashed thread.
    package var request: RequestInfo?
    /// All requests in flight, the crashed thread's included.
    package var requests: [RequestInfo]?
    /// The last requests that were answered, oldest first.
    package var recentRequests: [EndedRequest]?
    /// For drop sites, unraisable exceptions: both sides of the event.
    package var dropSite: DropSite?
    /// The exception that the crashed thread threw last, if that led to the end.
    package var thrown: ThrownException?
    /// For reports of growth.
    package var growth: GrowthInfo?
    /// Mistakes that the process survived, each with how often it happened.
    package var occasions: [CountedOccasion]?
    /// The crashed thread first.
    package var threads: [ThreadReport]?
    /// The interpreter, if one ran and could be read.
    package var python: PythonInfo?
    package var modules: [ModuleInfo]?
    package var breadcrumbs: [Breadcrumb]?
    /// The worker's last lines on stderr, oldest first.
    package var logTail: [String]?
    package var fingerprint: Fingerprint?
    package var capture: CaptureInfo?
    /// Set once names and lines were completed after the capture.
    package var resymbolicated: Resymbolication?

    package static let schemaName = "granite.crash/1"

    package init(id: String) { self.id = id }

    package enum Kind: String, Codable, Sendable, CaseIterable {
        case signal
        case dropSite = "drop_site"
        case unraisable
        case threadException = "thread_exception"
        case exit
        case oomKill = "oom_kill"
        case startup
        case hang
        case dump
        /// A Rust panic, at the place of the panic.
        case panic
        /// Memory grows.
        case growth
        /// A Python exception that ended the process.
        case uncaughtException = "uncaught_exception"

        /// True if the process goes on after such a report.
        package var goesOn: Bool {
            switch self {
            case .dropSite, .unraisable, .threadException, .dump, .panic, .growth: true
            case .signal, .exit, .oomKill, .startup, .hang, .uncaughtException: false
            }
        }
    }

    enum CodingKeys: String, CodingKey {
        case id, schema, time, kind, reason, diagnosis, signal, process, worker, request, requests
        case recentRequests = "recent_requests"
        case dropSite = "drop_site"
        case thrown, growth, occasions, threads, python, modules, breadcrumbs
        case logTail = "log_tail"
        case fingerprint, capture, resymbolicated
    }
}

/// What went wrong, with the evidence for it.
package struct Diagnosis: Codable, Sendable, Equatable {
    /// `null_dereference`, `stack_overflow`, `abort`, … (see ``Category``); free text for readers of newer reports.
    package var category: String
    /// `certain`, `likely` or `possible`.
    package var confidence: String
    /// Facts that support it, one short sentence each.
    package var evidence: [String]

    package init(category: Category, confidence: Confidence, evidence: [String]) {
        self.category = category.rawValue
        self.confidence = confidence.rawValue
        self.evidence = evidence
    }

    enum CodingKeys: String, CodingKey { case category, confidence, evidence }

    package enum Confidence: String, Sendable { case certain, likely, possible }

    package enum Category: String, Sendable, CaseIterable {
        case nullDereference = "null_dereference"
        case invalidAddress = "invalid_address"
        case nonCanonicalAddress = "non_canonical_address"
        case writeToReadOnly = "write_to_read_only"
        case stackOverflow = "stack_overflow"
        case executeNonExecutable = "execute_non_executable"
        case truncatedMapping = "truncated_mapping"
        case abort
        case swiftTrap = "swift_trap"
        case heapCorruption = "heap_corruption"
        case arithmetic
        case illegalInstruction = "illegal_instruction"
        case forbiddenSystemCall = "forbidden_system_call"
        case killedByProcess = "killed_by_process"
        case killedBySupervisor = "killed_by_supervisor"
        case outOfMemory = "out_of_memory"
        case exitCode = "exit_code"
        case startupFailure = "startup_failure"
        case threadAffinity = "thread_affinity"
        case unraisableException = "unraisable_exception"
        case uncaughtThreadException = "uncaught_thread_exception"
        case uncaughtException = "uncaught_exception"
        case panic
        case growth
        case hang
        case dump
        case unknown
    }
}

package struct SignalInfo: Codable, Sendable, Equatable {
    package var number: Int?
    /// `SIGSEGV`.
    package var name: String?
    /// si_code.
    package var code: Int?
    /// `SEGV_MAPERR`.
    package var codeName: String?
    /// si_addr where the signal has one.
    package var address: Address?
    /// Who sent it, when a process did.
    package var sender: Sender?

    package init() {}

    package struct Sender: Codable, Sendable, Equatable {
        package var pid: Int
        package var uid: Int
        package init(pid: Int, uid: Int) {
            self.pid = pid
            self.uid = uid
        }
    }

    enum CodingKeys: String, CodingKey {
        case number, name, code
        case codeName = "code_name"
        case address, sender
    }
}

package struct Fingerprint: Codable, Sendable, Equatable {
    /// Version of the rule that made the hash.
    package var version: Int
    /// 16 hexadecimal digits; equal for the same bug in other processes and builds with the same function names.
    package var hash: String
    /// What was hashed, in order.
    package var inputs: [String]

    package init(version: Int, hash: String, inputs: [String]) {
        self.version = version
        self.hash = hash
        self.inputs = inputs
    }

    enum CodingKeys: String, CodingKey { case version, hash, inputs }
}

/// How the capture itself went.
package struct CaptureInfo: Codable, Sendable, Equatable {
    /// The last stage that ended: `none`, `claimed`, `parked`, `walked`, `copied`, `served`, `finished`.
    package var stage: String?
    /// Microseconds by stage and step, each `{name, us}` in order.
    package var durations: [Step]?
    /// What could not be done, a sentence each.
    package var errors: [String]?
    /// True if the report lacks something that this kind of capture normally has; `errors` says what.
    package var incomplete: Bool?
    /// `off`, `short` or `full`.
    package var level: String?
    /// Captures of this worker that were only counted (rate limit, or another was running).
    package var suppressed: Int?

    package init() {}

    package struct Step: Codable, Sendable, Equatable {
        package var name: String
        package var microseconds: Int
        package init(name: String, microseconds: Int) {
            self.name = name
            self.microseconds = microseconds
        }
        enum CodingKeys: String, CodingKey {
            case name
            case microseconds = "us"
        }
    }

    enum CodingKeys: String, CodingKey {
        case stage
        case durations = "durations_us"
        case errors, incomplete, level, suppressed
    }
}
