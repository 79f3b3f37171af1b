// Defines what a report says about the process, the worker, its requests and its modules.

package struct ProcessInfo: Codable, Sendable, Equatable {
    package var pid: Int?
    /// The program's short name, of a process that is no worker of a server.
    package var program: String?
    package var argv: [String]?
    package var executable: String?
    /// Working directory; paths below it are shown relative to it.
    package var directory: String?
    package var uptimeSeconds: Double?
    /// `3.11.7`.
    package var pythonVersion: String?
    package var graniteVersion: String?
    package var kernel: String?
    /// `x86_64`.
    package var architecture: String?
    /// How the process ended, as waitpid(2) told.
    package var exit: ExitStatus?
    package var resources: ResourceUsage?
    package var cgroup: String?
    /// Resident memory, last sample before the end.
    package var rssBytes: UInt64?
    package var memory: MemoryInfo?
    /// Why its own supervisor killed it, a clause; nil if it did not.
    package var killedBecause: String?

    package init() {}

    enum CodingKeys: String, CodingKey {
        case pid, program, argv, executable
        case directory = "cwd"
        case uptimeSeconds = "uptime_s"
        case pythonVersion = "python_version"
        case graniteVersion = "granite_version"
        case kernel, architecture, exit, resources, cgroup
        case rssBytes = "rss_bytes"
        case memory
        case killedBecause = "killed_because"
    }
}

/// How a process ended: exactly one of signal and code is set.
package struct ExitStatus: Codable, Sendable, Equatable {
    /// Number of the signal that killed it.
    package var number: Int?
    /// Its name.
    package var signal: String?
    package var coreDumped: Bool?
    package var code: Int?

    package init() {}

    enum CodingKeys: String, CodingKey {
        case number, signal
        case coreDumped = "core_dumped"
        case code
    }
}

/// getrusage(2) of the dead worker.
package struct ResourceUsage: Codable, Sendable, Equatable {
    package var userSeconds: Double
    package var systemSeconds: Double
    package var maxRSSBytes: UInt64

    package init(userSeconds: Double = 0, systemSeconds: Double = 0, maxRSSBytes: UInt64 = 0) {
        self.userSeconds = userSeconds
        self.systemSeconds = systemSeconds
        self.maxRSSBytes = maxRSSBytes
    }

    enum CodingKeys: String, CodingKey {
        case userSeconds = "user_s"
        case systemSeconds = "system_s"
        case maxRSSBytes = "max_rss_bytes"
    }
}

package struct WorkerInfo: Codable, Sendable, Equatable {
    package var slot: Int?
    /// 1 for the first worker in the slot.
    package var generation: Int?
    /// Pid of the replacement.
    package var respawnedAs: Int?
    package var respawnMilliseconds: Double?
    package var uptimeSeconds: Double?
    package var requestsServed: UInt64?

    package init() {}

    enum CodingKeys: String, CodingKey {
        case slot, generation
        case respawnedAs = "respawned_as"
        case respawnMilliseconds = "respawn_ms"
        case uptimeSeconds = "uptime_s"
        case requestsServed = "requests_served"
    }
}

package struct RequestInfo: Codable, Sendable, Equatable {
    package var id: String?
    package var method: String?
    package var target: String?
    package var tid: Int?
    /// How long it was being served at the capture.
    package var ageMilliseconds: Double?

    package init() {}

    enum CodingKeys: String, CodingKey {
        case id, method, target, tid
        case ageMilliseconds = "age_ms"
    }
}

/// A request that was answered before the end.
package struct EndedRequest: Codable, Sendable, Equatable {
    package var id: String?
    package var method: String?
    /// Its beginning, at most 80 bytes.
    package var target: String?
    /// Of the response; nil if it was cut before it had one.
    package var status: Int?
    /// In the application.
    package var durationMilliseconds: Double?
    /// How long before the end, or the capture, it was answered.
    package var agoSeconds: Double?

    package init() {}

    enum CodingKeys: String, CodingKey {
        case id, method, target, status
        case durationMilliseconds = "duration_ms"
        case agoSeconds = "ago_s"
    }
}

package struct ModuleInfo: Codable, Sendable, Equatable {
    package var path: String?
    package var base: Address?
    package var size: UInt64?
    /// Lower-case hexadecimal.
    package var buildID: String?
    /// `found`, `missing` (names from the symbol table at best), `replaced` (the file on disk is another build) or `none`.
    package var debug: String?

    package init() {}

    enum CodingKeys: String, CodingKey {
        case path, base, size
        case buildID = "build_id"
        case debug
    }
}

package struct Breadcrumb: Codable, Sendable, Equatable {
    package var time: String?
    package var tid: Int?
    package var category: String?
    package var message: String?

    package init() {}

    enum CodingKeys: String, CodingKey { case time, tid, category, message }
}
