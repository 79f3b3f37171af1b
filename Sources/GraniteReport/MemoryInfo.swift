// Defines what a report says about the worker's memory before its end: how it grew, what its cgroup allowed, and what the kernel told of
// a kill. It is separate because supervisor, worker and kernel each know a part of it.

/// The memory of a worker, and who was short of it.
package struct MemoryInfo: Codable, Sendable, Equatable {
    /// Resident memory over the worker's life, oldest first: a sample a second lately, ever fewer the longer ago.
    package var trend: [MemorySample]?
    package var cgroup: CgroupMemory?
    /// What the kernel's log says of the kill of this very process.
    package var oomKill: OOMKillRecord?
    /// True if the kernel's log was read and would have named the process; nil or false: nobody knows what it says.
    package var kernelLogRead: Bool?
    /// How far the whole machine's `oom_kill` counter (/proc/vmstat) moved while the worker died; nil if it cannot be read.
    package var systemOOMKills: Int?

    package init() {}

    enum CodingKeys: String, CodingKey {
        case trend, cgroup
        case oomKill = "oom_kill"
        case kernelLogRead = "kernel_log_read"
        case systemOOMKills = "system_oom_kills"
    }
}

/// One moment of a worker's life.
package struct MemorySample: Codable, Sendable, Equatable {
    /// Seconds before the end, or before the capture.
    package var ageSeconds: Double
    package var rssBytes: UInt64
    package var requestsServed: UInt64?
    /// Tracked by Python's cyclic garbage collector, where that is known.
    package var pythonObjects: UInt64?

    package init(ageSeconds: Double, rssBytes: UInt64, requestsServed: UInt64? = nil, pythonObjects: UInt64? = nil) {
        self.ageSeconds = ageSeconds
        self.rssBytes = rssBytes
        self.requestsServed = requestsServed
        self.pythonObjects = pythonObjects
    }

    enum CodingKeys: String, CodingKey {
        case ageSeconds = "age_s"
        case rssBytes = "rss_bytes"
        case requestsServed = "requests_served"
        case pythonObjects = "python_objects"
    }
}

/// A memory cgroup (cgroups(7)) as its files said right after the death.
package struct CgroupMemory: Codable, Sendable, Equatable {
    /// Relative to the hierarchy's root, as /proc/PID/cgroup has it.
    package var path: String?
    /// 1 or 2.
    package var version: Int?
    /// The least that the cgroup and those above it allow; nil without a limit.
    package var limitBytes: UInt64?
    /// The most that was ever used; nil before Linux 5.19 (v2).
    package var peakBytes: UInt64?
    /// Used by those that live on.
    package var currentBytes: UInt64?
    /// How often the limit was met: `max` of memory.events (v2), memory.failcnt (v1).
    package var limitHits: UInt64?
    /// How far its `oom_kill` counter moved while the worker died. It counts victims by their own cgroup, whoever was short of memory.
    package var oomKills: Int?

    package init() {}

    enum CodingKeys: String, CodingKey {
        case path, version
        case limitBytes = "limit_bytes"
        case peakBytes = "peak_bytes"
        case currentBytes = "current_bytes"
        case limitHits = "limit_hits"
        case oomKills = "oom_kills"
    }
}

/// A kill by the kernel's OOM killer, as its log tells it.
package struct OOMKillRecord: Codable, Sendable, Equatable {
    package var pid: Int?
    /// The log's line, without its prefix.
    package var text: String?
    /// True if the whole machine was out of memory, false if a cgroup was.
    package var wholeSystem: Bool?
    /// The victim's memory at that moment, without files and shared memory.
    package var anonymousBytes: UInt64?

    package init() {}

    enum CodingKeys: String, CodingKey {
        case pid, text
        case wholeSystem = "whole_system"
        case anonymousBytes = "anonymous_bytes"
    }
}

extension MemoryInfo {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        trend = fields.lenientArray(.trend)
        cgroup = fields.lenient(.cgroup)
        oomKill = fields.lenient(.oomKill)
        kernelLogRead = fields.lenient(.kernelLogRead)
        systemOOMKills = fields.lenient(.systemOOMKills)
    }
}

extension MemorySample {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        ageSeconds = fields.lenient(.ageSeconds) ?? 0
        rssBytes = fields.lenient(.rssBytes) ?? 0
        requestsServed = fields.lenient(.requestsServed)
        pythonObjects = fields.lenient(.pythonObjects)
    }
}

extension CgroupMemory {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        path = fields.lenient(.path)
        version = fields.lenient(.version)
        limitBytes = fields.lenient(.limitBytes)
        peakBytes = fields.lenient(.peakBytes)
        currentBytes = fields.lenient(.currentBytes)
        limitHits = fields.lenient(.limitHits)
        oomKills = fields.lenient(.oomKills)
    }
}

extension OOMKillRecord {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        pid = fields.lenient(.pid)
        text = fields.lenient(.text)
        wholeSystem = fields.lenient(.wholeSystem)
        anonymousBytes = fields.lenient(.anonymousBytes)
    }
}
