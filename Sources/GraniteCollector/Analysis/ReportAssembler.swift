// Puts a report together: page, analysis and the supervisor's news of the end, then diagnosis, redaction and fingerprint. Pure but for
// uname(2): the same inputs give the same report.

import Glibc
import GraniteCrashChannel
import GraniteReport

struct ReportAssembler {
    var id: String
    var job: CollectorState.Job
    var watch: SupervisorMessage.Watch
    var process: ProcessFacts
    var evidence: Evidence
    var analysis: Analysis
    /// Level of the worker and the collector together.
    var level: String

    func assemble(ending: Ending) -> CrashReport {
        var report = CrashReport(id: id)
        let page = evidence.page
        // A page whose capture was a drop site says nothing of the exit that came later.
        let capture = job.source == .exit ? nil : page.capture
        report.kind = kind(capture, ending)
        report.time = Timestamp.rfc3339(nanoseconds: capture?.timeNanoseconds ?? Self.now())
        report.signal = capture.flatMap(Self.signal) ?? Self.signal(ending.exited)
        report.process = processInfo(ending)
        report.worker = watch.program == nil ? workerInfo(ending) : nil
        let end = capture?.enteredNanoseconds ?? ending.exited?.noticedNanoseconds
        let requests = page.requests.map { request(of: $0, at: end) }
        report.process?.memory = memory(ending, end: end)
        let recent = page.endedRequests.map { Self.ended($0, end: end) }
        report.recentRequests = recent.isEmpty ? nil : recent
        report.requests = requests.isEmpty ? nil : requests
        if let capture {
            report.request = requests.first { $0.tid == Int(capture.crashedThread) }
        } else if requests.count == 1 {
            report.request = requests.first
        }
        if let capture, capture.kind == .growth {
            report.growth = GrowthInfo(capture.details)
        } else if let capture, capture.kind != .signal, capture.cause == .none {
            report.dropSite = DropSite(capture, creationFrames: analysis.creationFrames)
        }
        report.thrown = analysis.thrown
        let occasions = page.occasions.map(CountedOccasion.init)
        report.occasions = occasions.isEmpty ? nil : occasions
        report.threads = analysis.threads.isEmpty ? nil : analysis.threads
        report.python = analysis.python
        report.modules = analysis.modules.isEmpty ? nil : analysis.modules
        let breadcrumbs = page.breadcrumbs.map(Self.breadcrumb)
        report.breadcrumbs = breadcrumbs.isEmpty ? nil : breadcrumbs
        report.logTail = ending.exited?.logTail
        report.capture = captureInfo(capture)

        let verdict = Diagnostician.diagnose(facts(report, capture, ending))
        report.diagnosis = verdict.diagnosis
        report.reason = Redaction.text(verdict.reason)
        report = Redaction.redacted(report)
        report.fingerprint = Fingerprint.make(for: report)
        return report
    }

    private func kind(_ capture: CrashPage.Capture?, _ ending: Ending) -> CrashReport.Kind {
        if let kind = capture?.kind.reportKind { return kind }
        guard let exited = ending.exited else { return .exit }
        let status = ExitStatus(waitStatus: exited.waitStatus)
        if OutOfMemoryRule.isOOMKill(status, exited) { return .oomKill }
        if exited.duringStartup { return .startup }
        return status.number != nil ? .signal : .exit
    }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(max(0, time.tv_sec)) &* 1_000_000_000 &+ UInt64(max(0, time.tv_nsec))
    }

    private static func signal(_ capture: CrashPage.Capture) -> SignalInfo? {
        guard capture.kind == .signal else { return nil }
        var info = SignalInfo()
        let (number, code) = (Int(capture.signalNumber), Int(capture.signalCode))
        info.number = number
        info.name = SignalName.name(number)
        info.code = code
        info.codeName = SignalName.codeName(signal: number, code: code)
        // si_addr means something where the signal came from the CPU (sigaction(2)).
        if code > 0, [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP].contains(capture.signalNumber) {
            info.address = capture.signalAddress
        }
        if code <= 0, capture.senderPID > 0 {
            info.sender = .init(pid: Int(capture.senderPID), uid: Int(capture.senderUID))
        }
        return info
    }

    private static func signal(_ exited: SupervisorMessage.Exited?) -> SignalInfo? {
        guard let number = exited.flatMap({ ExitStatus(waitStatus: $0.waitStatus).number }) else { return nil }
        var info = SignalInfo()
        info.number = number
        info.name = SignalName.name(number)
        return info
    }

    private func processInfo(_ ending: Ending) -> ProcessInfo {
        var info = ProcessInfo()
        let status = evidence.page.status
        info.pid = Int(watch.pid)
        info.program = watch.program
        info.argv = process.argv.isEmpty ? nil : process.argv
        info.executable = process.executable
        info.directory = process.directory
        info.cgroup = process.cgroup
        info.uptimeSeconds = uptime(ending)
        if let version = status?.pythonVersion, version != 0 {
            info.pythonVersion = "\(version >> 24).\(version >> 16 & 0xff).\(version >> 8 & 0xff)"
        }
        info.architecture = Registers.architecture
        info.kernel = Self.kernel()
        info.exit = ending.exited.map { ExitStatus(waitStatus: $0.waitStatus) }
        info.resources = ending.exited?.resources
        info.killedBecause = ending.exited?.killedBecause
        if let rss = status?.residentBytes, rss > 0 { info.rssBytes = rss }
        return info
    }

    /// The trend of the page, and what the supervisor learned from the kernel.
    private func memory(_ ending: Ending, end: UInt64?) -> MemoryInfo? {
        var memory = ending.exited?.memory ?? MemoryInfo()
        let newest = end ?? evidence.page.trend.last?.timeNanoseconds
        let trend = evidence.page.trend.compactMap { sample -> MemorySample? in
            // The page may say anything: what lies after the end is no sample of this life.
            guard let newest, sample.timeNanoseconds <= newest else { return nil }
            return MemorySample(
                ageSeconds: Double((newest - sample.timeNanoseconds) / 1_000_000) / 1000,
                rssBytes: sample.residentBytes, requestsServed: sample.requestsServed,
                pythonObjects: sample.pythonObjects == 0 ? nil : sample.pythonObjects)
        }
        memory.trend = trend.isEmpty ? nil : trend
        return memory == MemoryInfo() ? nil : memory
    }

    private func uptime(_ ending: Ending) -> Double? {
        if let exited = ending.exited { return exited.uptimeSeconds }
        guard let status = evidence.page.status, let capture = evidence.page.capture, status.startedNanoseconds > 0,
            capture.timeNanoseconds > status.startedNanoseconds
        else { return nil }
        return Double((capture.timeNanoseconds - status.startedNanoseconds) / 1_000_000) / 1000
    }

    private static func kernel() -> String? {
        var name = utsname()
        guard uname(&name) == 0 else { return nil }
        return withUnsafeBytes(of: name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    private func workerInfo(_ ending: Ending) -> WorkerInfo {
        var info = WorkerInfo()
        info.slot = watch.slot
        info.generation = watch.generation
        info.respawnedAs = ending.respawned.map { Int($0.pid) }
        info.respawnMilliseconds = ending.respawned?.afterMilliseconds
        info.uptimeSeconds = uptime(ending)
        info.requestsServed = evidence.page.status?.requestsServed
        return info
    }

    private func request(of request: CrashPage.Request, at capture: UInt64?) -> RequestInfo {
        var info = RequestInfo()
        info.id = request.id
        info.method = request.method
        info.target = request.target
        info.tid = Int(request.tid)
        if let capture, capture >= request.startedNanoseconds, request.startedNanoseconds > 0 {
            info.ageMilliseconds = Double((capture - request.startedNanoseconds) / 1000) / 1000
        }
        return info
    }

    private static func ended(_ request: CrashPage.EndedRequest, end: UInt64?) -> EndedRequest {
        var info = EndedRequest()
        info.id = request.id
        info.method = request.method
        info.target = request.target
        info.status = request.status == 0 ? nil : Int(request.status)
        info.durationMilliseconds = Double(request.durationNanoseconds / 1000) / 1000
        let answered = request.startedNanoseconds &+ request.durationNanoseconds
        if let end, end >= answered { info.agoSeconds = Double((end - answered) / 1_000_000) / 1000 }
        return info
    }

    private static func breadcrumb(_ crumb: CrashPage.Breadcrumb) -> Breadcrumb {
        var info = Breadcrumb()
        info.time = Timestamp.rfc3339(nanoseconds: crumb.timeNanoseconds)
        info.tid = Int(crumb.tid)
        info.category = crumb.category
        info.message = crumb.message
        return info
    }

    private func captureInfo(_ capture: CrashPage.Capture?) -> CaptureInfo {
        let account = CaptureAccount(
            capture: capture, job: job, level: level, threads: analysis.threads,
            noun: watch.program == nil ? "worker" : "process")
        var info = CaptureInfo()
        info.level = level
        info.stage = account.stage
        info.durations = account.durations + evidence.steps + analysis.steps
        let errors = account.errors + evidence.errors + analysis.errors
        info.errors = errors.isEmpty ? nil : errors
        info.incomplete = account.isIncomplete || evidence.isIncomplete || analysis.isIncomplete
        if let suppressed = evidence.page.status?.suppressedCaptures, suppressed > 0 {
            info.suppressed = Int(suppressed)
        }
        return info
    }

    private func heartbeatAge(_ capture: CrashPage.Capture) -> Double? {
        guard let heartbeat = evidence.page.status?.heartbeatNanoseconds, heartbeat > 0,
            heartbeat <= capture.enteredNanoseconds
        else { return nil }
        return Double((capture.enteredNanoseconds - heartbeat) / 1_000_000) / 1000
    }

    private func facts(_ report: CrashReport, _ capture: CrashPage.Capture?, _ ending: Ending) -> CrashFacts {
        var facts = CrashFacts(kind: report.kind ?? .exit, pid: Int(watch.pid))
        facts.program = watch.program
        facts.signal = report.signal
        facts.exit = report.process?.exit
        facts.oomKills = ending.exited?.oomKills
        facts.memory = report.process?.memory
        facts.occasions = report.occasions ?? []
        facts.maxRSSBytes = report.process?.resources?.maxRSSBytes ?? 0
        facts.killedBecause = ending.exited?.killedBecause
        if capture == nil { facts.requestsInFlight = report.requests?.count ?? 0 }
        facts.duringStartup = ending.exited?.duringStartup ?? false
        facts.level = level
        facts.rssBytes = report.process?.rssBytes ?? 0
        facts.logTail = report.logTail ?? []
        facts.dropSite = report.dropSite
        facts.thrown = report.thrown
        facts.growth = report.growth
        if let request = report.request, capture?.cause != CrashPage.Cause.none {
            facts.serving = "\(request.method ?? "?") \(Redaction.target(request.target ?? "?"))"
        }
        facts.requestAgeSeconds = report.request?.ageMilliseconds.map { $0 / 1000 }
        if let capture, capture.cause != .none {
            facts.hang = .init(
                cause: capture.cause,
                heartbeatAgeSeconds: heartbeatAge(capture))
        }
        facts.threads = report.threads ?? []
        guard let capture, let crashed = report.threads?.first else { return facts }
        facts.errorCode = capture.errorCode
        facts.trapNumber = capture.trapNumber
        facts.registers = evidence.page.threads.first.map { $0.hasRegisters ? $0.registers : [] } ?? []
        if let snapshot = evidence.page.snapshot, let pc = facts.programCounter {
            facts.code = snapshot.memory(at: pc, atMost: 15).map(Array.init) ?? []
            facts.stackTop = facts.stackPointer.flatMap { snapshot.word(at: $0) }
            facts.operandWord = facts.operandAddress.flatMap { snapshot.word(at: $0) }
            facts.belowStackTop = facts.stackPointer.flatMap { snapshot.word(at: $0 &- 8) }
        }
        facts.threadName = crashed.name ?? ""
        facts.crashedTid = crashed.tid
        facts.frames = crashed.frames ?? []
        facts.folded = crashed.folded
        facts.map = evidence.page.map
        facts.abortMessage = evidence.abortMessage
        facts.panicPlace = evidence.panicPlace
        facts.isCollectingGarbage = evidence.python?.collecting
        facts.collectedGeneration = report.python?.collectedGeneration
        return facts
    }
}
