// How events look to machines: the fields of each, in order, snake_case, durations with their unit in the name.

package import GraniteLogging
import GraniteReport

extension ServerEvent {
    package var fields: [FieldValue.Field] {
        switch self {
        case .serverStarted(let started):
            [
                .init("pid", .integer(Int(started.pid))),
                .init("addresses", .array(started.listeners.map { .string($0.url) })),
                .init("port", .integer(started.listeners.first.map { Int($0.port) } ?? 0)),
                .init("workers", .integer(started.workers)),
                .init("backtrace", .string(started.level)),
            ] + field("crash_dir", started.crashDirectory)
        case .serverStopping(let reason, let workers):
            [.init("reason", .string(reason)), .init("workers", .integer(workers))]
        case .serverStopped(let exitCode, let reason, let uptime):
            [.init("exit_code", .integer(Int(exitCode))), .init("uptime_s", .number(uptime))] + field("reason", reason)
        case .serverReloading, .serverReloaded: []
        case .serverReloadFailed(let slot): [.init("worker", .object([.init("slot", .integer(slot))]))]
        case .workerStarted(let worker): [worker.field]
        case .workerReady(let worker, let startup): [worker.field, .init("startup_ms", .number(startup))]
        case .workerExited(let exited): exited.fields
        case .workerRespawned(let respawned): respawned.fields
        case .workerHanging(let hanging): hanging.fields
        case .workerCrashLoop(let slot, let failures, let backoff):
            [
                .init("worker", .object([.init("slot", .integer(slot))])), .init("slot", .integer(slot)),
                .init("failures", .integer(failures)), .init("backoff_s", .number(backoff)),
            ]
        case .workerSpawnFailed(let slot, let reason):
            [.init("worker", .object([.init("slot", .integer(slot))])), .init("reason", .string(reason))]
        case .workerOutput(let worker, let line):
            [worker.field, .init("stream", .string("stderr")), .init("line", .string(line))]
        case .collectorStarted(let pid, let restarted):
            [.init("pid", .integer(Int(pid))), .init("restarted", .boolean(restarted))]
        case .collectorExited(let pid, let exit, let retry):
            [.init("pid", .integer(Int(pid))), exit.field] + (retry.map { [.init("backoff_s", .number($0))] } ?? [])
        case .collectorUnavailable(let reason): [.init("reason", .string(reason))]
        case .collectorOutput(let pid, let line):
            [.init("pid", .integer(Int(pid))), .init("stream", .string("stderr")), .init("line", .string(line))]
        case .crashReported(let reported):
            (reported.worker.map { [$0.field] } ?? [])
                + [.init("alive", .boolean(reported.alive)), .init("crash", .object(reported.summary.fields))]
        case .crashReportFailed(let worker, let id, let reason):
            (worker.map { [$0.field] } ?? [])
                + [.init("crash", .object([.init("id", .string(id))])), .init("reason", .string(reason))]
        case .crashCounted(let counted):
            [counted.worker.field, .init("kind", .string(counted.kind))]
                + field("subject", counted.subject.isEmpty ? nil : counted.subject)
                + [
                    .init("message", .string(counted.message)), .init("count", .integer(counted.count)),
                    .init("total", .integer(counted.total)),
                ]
        case .workerRecycled(let recycled):
            [
                recycled.worker.field, .init("rss_bytes", .integer(Int(clamping: recycled.rssBytes))),
                .init("limit_bytes", .integer(Int(clamping: recycled.limitBytes))),
            ] + field("crash_id", recycled.crashID)
        }
    }
}

private func field(_ name: String, _ text: String?) -> [FieldValue.Field] {
    text.map { [.init(name, .string($0))] } ?? []
}

extension WorkerIdentity {
    fileprivate var field: FieldValue.Field {
        .init(
            "worker",
            .object([
                .init("slot", .integer(slot)), .init("pid", .integer(Int(pid))),
                .init("generation", .integer(generation)),
            ]))
    }
}

extension ExitStatus {
    fileprivate var field: FieldValue.Field { .init("exit", .object(fields)) }

    /// `signal`, `number` and `core_dumped`, or `code`.
    fileprivate var fields: [FieldValue.Field] {
        var fields = GraniteSupervisor.field("signal", signal)
        if let number { fields.append(.init("number", .integer(number))) }
        if let coreDumped { fields.append(.init("core_dumped", .boolean(coreDumped))) }
        if let code { fields.append(.init("code", .integer(code))) }
        return fields
    }
}

extension ServerEvent.WorkerExited {
    fileprivate var fields: [FieldValue.Field] {
        var fields = [worker.field] + exit.fields
        fields += [
            .init("uptime_s", .number(uptimeSeconds)), .init("requests", .integer(Int(clamping: requests))),
            .init("expected", .boolean(expected)),
            .init("during_startup", .boolean(duringStartup)),
        ]
        fields += field("crash_id", crashID)
        fields += field("message", message)
        if let oomKills { fields.append(.init("oom_kills", .integer(oomKills))) }
        if wasOOMKilled { fields.append(.init("oom_killed", .boolean(true))) }
        fields += field("killed_because", killedBecause)
        if maxRSSBytes > 0 { fields.append(.init("max_rss_bytes", .integer(Int(clamping: maxRSSBytes)))) }
        if let memoryLimitBytes {
            fields.append(.init("memory_limit_bytes", .integer(Int(clamping: memoryLimitBytes))))
        }
        if survived > 0 { fields.append(.init("survived", .integer(survived))) }
        if !requestsInFlight.isEmpty {
            fields.append(.init("in_flight", .integer(requestsInFlight.count)))
            fields.append(.init("requests_in_flight", .array(requestsInFlight.prefix(3).map { .object($0.fields) })))
        }
        return fields
    }
}

extension ServerEvent.WorkerHanging {
    fileprivate var fields: [FieldValue.Field] {
        var fields: [FieldValue.Field] = [
            worker.field, .init("cause", .string(cause)), .init("lasting_s", .number(seconds)),
        ]
        if let request { fields.append(.init("request", .object(request.fields))) }
        return fields + [.init("captured", .boolean(isCaptured)), .init("killed", .boolean(isKilled))]
    }
}

extension ServerEvent.WorkerRespawned {
    fileprivate var fields: [FieldValue.Field] {
        var fields: [FieldValue.Field] = [
            worker.field, .init("respawn_ms", .number(respawnMilliseconds)),
            .init(
                "previous",
                .object([
                    .init("pid", .integer(Int(previous.pid))), .init("uptime_s", .number(previous.uptimeSeconds)),
                    .init("requests", .integer(Int(clamping: previous.requests))), previous.exit.field,
                ])),
        ]
        switch crash {
        case .reported(let summary): fields.append(.init("crash", .object(summary.fields)))
        case .pending(let id):
            fields.append(.init("crash", .object([.init("id", .string(id)), .init("complete", .boolean(false))])))
        case nil: break
        }
        return fields
    }
}

extension RequestInfo {
    fileprivate var fields: [FieldValue.Field] {
        var fields =
            GraniteSupervisor.field("id", id) + GraniteSupervisor.field("method", method)
            + GraniteSupervisor.field("target", target)
        if let tid { fields.append(.init("tid", .integer(tid))) }
        if let ageMilliseconds { fields.append(.init("age_ms", .number(ageMilliseconds))) }
        return fields
    }
}

extension CrashSummary {
    fileprivate var fields: [FieldValue.Field] {
        var fields: [FieldValue.Field] = [
            .init("id", .string(id)), .init("kind", .string(kind)), .init("reason", .string(reason)),
        ]
        fields += field("category", category)
        fields += field("confidence", confidence)
        if let request {
            fields.append(.init("request", .object(request.fields)))
        }
        fields += field("memory", memory)
        fields.append(.init("top", .array(top.map { .string($0) })))
        fields += field("fingerprint", fingerprint)
        fields.append(.init("complete", .boolean(complete)))
        fields += field("report", report)
        return fields
    }
}
