// Defines what follows when a thread-bound value is used or released on the wrong thread.

import CGraniteCapture

/// What follows when a ``ThreadBound`` value meets the wrong thread. GRANITE_THREAD_BOUND sets it: `report`, `abort` or
/// `off`. One policy counts for values of Swift and of granite_bind.h.
public enum ThreadBoundPolicy: String, Sendable, CaseIterable {
    /// A `drop_site` report; the program goes on, and what was released elsewhere is handed home.
    case report
    /// A `drop_site` report, then abort(3), with a report of that too.
    case abort
    /// Nothing, as if the check were not there. Use on the wrong thread still throws.
    case off

    /// The policy of this process. The default is what GRANITE_THREAD_BOUND says at first use, else `report`.
    public static var current: ThreadBoundPolicy {
        get {
            switch granite_thread_policy() {
            case GRANITE_POLICY_ABORT: .abort
            case GRANITE_POLICY_OFF: .off
            default: .report
            }
        }
        set {
            switch newValue {
            case .report: granite_thread_policy_set(GRANITE_POLICY_REPORT)
            case .abort: granite_thread_policy_set(GRANITE_POLICY_ABORT)
            case .off: granite_thread_policy_set(GRANITE_POLICY_OFF)
            }
        }
    }
}
