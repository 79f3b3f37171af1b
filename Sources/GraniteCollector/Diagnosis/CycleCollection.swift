// Defines what is known of CPython's collector of cycles at the time of a report: it runs on whichever thread allocates next, and takes the
// blame for no line of the application. Pure.

import GraniteReport

/// Whether it was running, and where.
enum CycleCollection: Equatable {
    case none
    /// It ran on the thread of the report, over this generation and the younger ones.
    case onThread(Int?)
    /// It ran on another thread, or nobody knows which.
    case inProcess(Int?)

    /// The hooks watched it; without them CPython's flag is one for all threads, and which of them collects, its native frames say.
    init(_ facts: CrashFacts) {
        let generation = facts.dropSite?.generation ?? facts.collectedGeneration
        switch facts.dropSite?.collector {
        case "running": self = .onThread(generation)
        case "running_elsewhere": self = .inProcess(generation)
        default:
            let hasFrame = facts.frames.contains { $0.kind == .native && $0.symbol?.hasPrefix("gc_collect") == true }
            if facts.isCollectingGarbage == false {
                self = .none
            } else if hasFrame {
                self = .onThread(generation)
            } else {
                self = facts.isCollectingGarbage == true ? .inProcess(generation) : .none
            }
        }
    }

    var isRunning: Bool { self != .none }

    var generation: Int? {
        switch self {
        case .none: nil
        case .onThread(let generation), .inProcess(let generation): generation
        }
    }

    /// A clause; nil if it did not run.
    var evidence: String? {
        switch self {
        case .none: nil
        case .onThread: "the garbage collector was running on that thread: the line it interrupted is innocent"
        case .inProcess: "a garbage collection was under way in the process: the line shown may be innocent"
        }
    }
}
