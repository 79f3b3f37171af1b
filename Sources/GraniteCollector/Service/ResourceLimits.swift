// Limits what the collector may take from the machine: a hostile debug file must not take the memory of the workers with it.

import Glibc

enum ResourceLimits {
    /// Debug files are mapped, not read, so the address space is generous.
    static let addressSpaceBytes: rlim_t = 4 << 30

    /// Sets them for this process. A limit that is already lower stays.
    ///
    /// - Parameter ofMemory: the address space is limited too; only where the process is the collector's own.
    static func apply(ofMemory: Bool) {
        if ofMemory { lower(Int32(RLIMIT_AS.rawValue), to: addressSpaceBytes) }
        // A core of the collector would only overwrite the worker's.
        lower(Int32(RLIMIT_CORE.rawValue), to: 0)
    }

    private static func lower(_ resource: __rlimit_resource_t, to value: rlim_t) {
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur > value else { return }
        limit.rlim_cur = value
        limit.rlim_max = min(limit.rlim_max, value)
        _ = setrlimit(resource, &limit)
    }
}
