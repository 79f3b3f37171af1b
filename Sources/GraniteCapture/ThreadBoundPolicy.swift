// Defines what follows when a thread-bound value is used or released on the wrong thread.

import Glibc
import Synchronization

/// What follows when a ``ThreadBound`` value meets the wrong thread. GRANITE_THREAD_BOUND sets it: `report`, `abort` or
/// `off`.
public enum ThreadBoundPolicy: String, Sendable, CaseIterable {
    /// A `drop_site` report; the program goes on.
    case report
    /// A `drop_site` report, then abort(3), with a report of that too.
    case abort
    /// Nothing, as if the check were not there. Use on the wrong thread still throws.
    case off

    /// The policy of this process. The default is what GRANITE_THREAD_BOUND says at first use, else `report`.
    public static var current: ThreadBoundPolicy {
        get { ThreadBoundPolicy.allCases[shared.load(ordering: .relaxed)] }
        set { shared.store(allCases.firstIndex(of: newValue) ?? 0, ordering: .relaxed) }
    }

    private static let shared = Atomic<Int>(
        getenv("GRANITE_THREAD_BOUND").flatMap { ThreadBoundPolicy(rawValue: String(cString: $0)) }.flatMap(
            allCases.firstIndex) ?? 0)
}
