// How events look to people: a sentence each, and for a crash the reason, the request and the innermost frames below it.

import GraniteReport

extension ServerEvent {
    package var sentence: String {
        switch self {
        case .serverStarted(let started):
            "granite (pid \(started.pid)) listens on \(started.listeners.map(\.url).joined(separator: " and ")), starts \(Quantity.count(started.workers, "worker"))"
        case .serverStopping(let reason, let workers):
            "stopping (\(reason)): \(Quantity.count(workers, "worker")) to finish"
        case .serverStopped(let exitCode, let reason, let uptime):
            (uptime > 0 ? "stopped after \(duration(seconds: uptime))" : "not started")
                + (exitCode == 0 ? "" : ", exit code \(exitCode)")
                + (reason.map { ": \($0.firstLine)" } ?? "")
        case .serverReloading: "reloading worker by worker"
        case .serverReloaded: "reloaded"
        case .serverReloadFailed(let slot):
            "reload stopped at worker \(slot): its replacement did not become ready, the old workers keep serving"
        case .workerStarted(let worker): "\(worker.phrase) started"
        case .workerReady(let worker, let startup):
            "\(worker.phrase) ready after \(duration(seconds: startup / 1000))"
        case .workerExited(let exited): exited.sentence
        case .workerRespawned(let respawned): respawned.sentence
        case .workerHanging(let hanging): hanging.sentence
        case .workerCrashLoop(let slot, let failures, let backoff):
            "worker \(slot) keeps failing, \(failures) times in a row: next try in \(duration(seconds: backoff))"
        case .workerSpawnFailed(let slot, let reason): "worker \(slot) could not be started: \(reason)"
        case .workerOutput(let worker, let line): "\(worker.phrase): \(line)"
        case .collectorStarted(let pid, let restarted):
            "crash collector (pid \(pid)) \(restarted ? "restarted" : "started")"
        case .collectorExited(let pid, let exit, let retry):
            "crash collector (pid \(pid)) \(exit.phrase)"
                + (retry.map { $0 > 0 ? ", next try in \(duration(seconds: $0))" : "" } ?? "")
        case .collectorUnavailable(let reason): "crashes will be told without reports: \(reason)"
        case .collectorOutput(let pid, let line): "crash collector (pid \(pid)): \(line)"
        case .crashReported(let reported):
            "\(reported.worker?.phrase ?? "a worker")\(reported.alive ? " lives on" : ""): \(reported.summary.reason) · crash \(reported.summary.id)"
        case .crashReportFailed(let worker, let id, let reason):
            "no report of crash \(id)\(worker.map { " of \($0.phrase)" } ?? ""): \(reason)"
        case .crashCounted(let counted):
            "\(counted.worker.phrase) lives on: \(counted.message.isEmpty ? counted.subject : counted.message.firstLine) · \(Quantity.grouped(counted.count)) more, \(Quantity.grouped(counted.total)) in all"
        case .workerRecycled(let recycled):
            "\(recycled.worker.phrase) is replaced: it had grown to \(Quantity.memory(recycled.rssBytes)), over \(Quantity.memory(recycled.limitBytes)) (--max-rss)"
                + (recycled.crashID.map { " · crash \($0)" } ?? "")
        }
    }

    package var details: [String] {
        switch self {
        case .serverStopped(_, let reason?, _): reason.lines.dropFirst().map { String($0) }
        case .workerExited(let exited): exited.message.map { $0.lines.dropFirst().map { String($0) } } ?? []
        case .workerRespawned(let respawned):
            switch respawned.crash {
            case .reported(let summary) where !respawned.alreadyReported: [summary.reason] + summary.story
            case .reported, .pending, nil: []
            }
        case .crashReported(let reported): reported.summary.story
        default: []
        }
    }
}

extension WorkerIdentity {
    fileprivate var phrase: String { "worker \(slot) (pid \(pid))" }
}

extension ServerEvent.WorkerExited {
    fileprivate var sentence: String {
        var text = worker.phrase
        if duringStartup && !expected {
            text += " could not start, \(exit.phrase)"
            if let message { text += ": \(message.firstLine)" }
        } else {
            text += expected ? " stopped" : " \(exit.phrase)"
            text +=
                " after \(duration(seconds: uptimeSeconds)), \(Quantity.count(Int(clamping: requests), "request"))"
            if expected, let message { text += ": \(message.firstLine)" }
        }
        if let request = requestsInFlight.first, !expected {
            let more = requestsInFlight.count > 1 ? " and \(requestsInFlight.count - 1) more" : ""
            text += ", serving \([request.method, request.target].compactMap { $0 }.joined(separator: " "))\(more)"
        }
        if let killedBecause {
            text += " · killed by its supervisor: \(killedBecause)"
        } else if wasOOMKilled {
            text += " · killed by the kernel, which was out of memory"
        } else if let oomKills, oomKills > 0, exit.number == 9, !expected {
            text += " · the kernel's OOM killer struck in this cgroup"
        }
        if survived > 0 { text += " · it had survived \(Quantity.count(survived, "mistake"))" }
        if let crashID { text += " · crash \(crashID)" }
        return text
    }
}

extension ServerEvent.WorkerHanging {
    /// `worker 2 (pid 4711) hangs: GET /slow has been running for 30 s (--request-timeout)`.
    fileprivate var sentence: String {
        let name = [request?.method, request?.target].compactMap { $0 }.joined(separator: " ")
        let option = "--" + cause.split(separator: "_").joined(separator: "-")
        let what =
            cause == "stall_timeout"
            ? "the event loop has not turned for \(duration(seconds: seconds))"
                + (name.isEmpty ? "" : ", \(name) is in flight")
            : "\(name.isEmpty ? "a request" : name) has been running for \(duration(seconds: seconds))"
        return "\(worker.phrase) hangs: \(what) (\(option))" + (isKilled ? "; it is killed" : "")
            + (isCaptured || isKilled ? "" : "; not captured")
    }
}

extension ServerEvent.WorkerRespawned {
    fileprivate var sentence: String {
        let id =
            switch crash {
            case .reported(let summary): " · crash \(summary.id)"
            case .pending(let id): " · crash \(id), no report yet"
            case nil: ""
            }
        return
            "worker \(worker.slot) (pid \(previous.pid)) replaced by pid \(worker.pid) after \(duration(seconds: respawnMilliseconds / 1000))\(id)"
    }
}

extension CrashSummary {
    /// The request, the innermost frames, where to read on.
    fileprivate var story: [String] {
        var lines: [String] = []
        if let request {
            lines.append(
                "serving \([request.method, request.target].compactMap { $0 }.joined(separator: " "))\(request.id.map { " (request \($0))" } ?? "")"
            )
        }
        if let memory { lines.append("memory \(memory)") }
        lines += top.map { "  \($0)" }
        lines.append("granite-crash show \(id)\(complete ? "" : " (incomplete)")")
        return lines
    }
}

extension String {
    fileprivate var lines: [Substring] { split(separator: "\n", omittingEmptySubsequences: true) }
    /// What stands before the first line break.
    var firstLine: String { lines.first.map { String($0) } ?? "" }
}

private func duration(seconds: Double) -> String { Quantity.duration(seconds: seconds) ?? "unknown time" }
