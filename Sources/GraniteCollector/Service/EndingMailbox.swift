// Defines where a job waits for the end of its worker: how it died and who replaced it. The control loop puts the news in and never waits.

import Glibc
import GraniteCrashChannel
import Synchronization

/// What the supervisor told of a worker's end.
struct Ending: Sendable, Equatable {
    var exited: SupervisorMessage.Exited?
    var respawned: SupervisorMessage.Respawned?

    /// Nothing more is to be expected soon: a replacement was started, or none is.
    var isComplete: Bool {
        guard let exited else { return false }
        return respawned != nil || exited.expected || exited.isReplacedNow == false
    }
}

/// One per watched worker. The control loop posts, the jobs wait.
/// Unchecked: all state is behind the pthread mutex, which a condition variable needs.
final class EndingMailbox: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var ending = Ending()
    private var isClosed = false

    init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    private func locked<T>(_ body: () -> T) -> T {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    func post(_ exited: SupervisorMessage.Exited) {
        locked {
            ending.exited = exited
            pthread_cond_broadcast(changed)
        }
    }

    func post(_ respawned: SupervisorMessage.Respawned) {
        locked {
            ending.respawned = respawned
            pthread_cond_broadcast(changed)
        }
    }

    /// Nothing more will come: the supervisor is gone.
    func close() {
        locked {
            isClosed = true
            pthread_cond_broadcast(changed)
        }
    }

    /// Waits until both are known, nothing more will come, or the deadline (CLOCK_MONOTONIC, nanoseconds) passed.
    func wait(until deadline: UInt64) -> Ending {
        var limit = timespec(tv_sec: Int(clamping: deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
        return locked {
            while !isClosed, !ending.isComplete {
                if pthread_cond_timedwait(changed, mutex, &limit) != 0 { break }
            }
            return ending
        }
    }
}
