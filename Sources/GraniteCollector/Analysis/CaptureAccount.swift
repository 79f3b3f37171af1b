// Defines how the capture itself went, in the words of the report: stages, times, and what it could not do. Pure.

import GraniteCrashChannel
import GraniteReport

struct CaptureAccount {
    var stage = "none"
    var durations: [CaptureInfo.Step] = []
    var errors: [String] = []
    var isIncomplete = false

    init(capture: CrashPage.Capture?, job: CollectorState.Job, level: String, threads: [ThreadReport], noun: String) {
        guard let capture else { return }
        stage = Self.name(capture.stage)
        durations = Self.durations(capture)
        miss(job.isResumed, "The collector was restarted while it worked on this crash.")
        miss(
            job.source == .page && !job.isResumed,
            "The \(noun) \(job.isFatal ? "died" : "went on") before the collector had read its memory.")
        miss(capture.stage < .copied, "The capture ended after the stage \"\(stage)\": stacks were not copied.")
        let flags = capture.flags
        if flags.contains(.secondFault) {
            miss(
                true,
                "The handler itself met \(SignalName.name(Int(capture.secondFaultSignal))) at \(capture.secondFaultAddress) and ended the capture."
            )
        }
        miss(flags.contains(.parkTimedOut), "Some threads did not stop in time; they have no frames.")
        miss(flags.contains(.threadsTruncated), "There were more threads than a crash page holds.")
        miss(flags.contains(.snapshotFull), "Some stacks were left out: the snapshot area is full.")
        if job.source == .live {
            miss(flags.contains(.collectorTimeout), "The \(noun) did not wait until its memory was read.")
        }
        // These two cost a second opinion only.
        if flags.contains(.walkFaulted) { errors.append("The handler's own walk met a fault and was cut short.") }
        if flags.contains(.noUnwinder) {
            errors.append("libunwind could not be loaded in the \(noun): the handler did not walk its stack.")
        }
        if level == "short", capture.threadCount > 1 {
            errors.append(
                "\(capture.threadCount - 1) other threads are left out at level short; GRANITE_BACKTRACE=full shows them."
            )
        }
        if let crashed = threads.first, crashed.truncated == true, crashed.folded == nil {
            miss(true, "The crashed thread's stack could not be walked to its end.")
        }
        miss(threads.isEmpty, "No thread could be reported.")
    }

    private mutating func miss(_ happened: Bool, _ sentence: String) {
        guard happened else { return }
        errors.append(sentence)
        isIncomplete = true
    }

    private static func name(_ stage: CrashPage.Stage) -> String {
        switch stage {
        case .idle: "none"
        case .claimed: "claimed"
        case .parked: "parked"
        case .walked: "walked"
        case .copied: "copied"
        case .served: "served"
        case .finished: "finished"
        }
    }

    private static func durations(_ capture: CrashPage.Capture) -> [CaptureInfo.Step] {
        let ends = [
            ("claim", capture.claimedNanoseconds), ("park", capture.parkedNanoseconds),
            ("walk", capture.walkedNanoseconds),
            ("copy", capture.copiedNanoseconds), ("serve", capture.servedNanoseconds),
        ]
        var last = capture.enteredNanoseconds
        var steps: [CaptureInfo.Step] = []
        for (name, end) in ends where end >= last && end > 0 && last > 0 {
            steps.append(.init(name: name, microseconds: Int(clamping: (end - last) / 1000)))
            last = end
        }
        return steps
    }
}
