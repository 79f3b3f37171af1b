// A report in which every field of every type is set: what the schema must describe.

package import GraniteReport

package enum FullReport {
    package static func make() -> CrashReport {
        var report = CrashReport(id: "01JDF3T8Q2M4V6X8ZB0D2F4H6K")
        report.time = "2026-11-24T13:40:12.345Z"
        report.kind = .signal
        report.reason = "strlen read address 0x0."
        report.diagnosis = Diagnosis(category: .nullDereference, confidence: .certain, evidence: ["si_addr 0x0"])
        report.signal = SignalInfo()
        report.signal?.number = 11
        report.signal?.name = "SIGSEGV"
        report.signal?.code = 1
        report.signal?.codeName = "SEGV_MAPERR"
        report.signal?.address = Address(0)
        report.signal?.sender = SignalInfo.Sender(pid: 1, uid: 0)
        report.process = process()
        report.worker = WorkerInfo()
        report.worker?.slot = 2
        report.worker?.generation = 1
        report.worker?.respawnedAs = 4790
        report.worker?.respawnMilliseconds = 38
        report.worker?.uptimeSeconds = 192.4
        report.worker?.requestsServed = 18_204
        var request = RequestInfo()
        request.id = "7f3c9a"
        request.method = "GET"
        request.target = "/crash/null"
        request.tid = 4715
        request.ageMilliseconds = 2.1
        report.request = request
        report.requests = [request]
        var ended = EndedRequest()
        ended.id = "7f3c99"
        ended.method = "GET"
        ended.target = "/"
        ended.status = 200
        ended.durationMilliseconds = 1.2
        ended.agoSeconds = 0.3
        report.recentRequests = [ended]
        var site = DropSite()
        site.subject = "Connection"
        site.message = "released on another thread"
        site.ownerTid = 4711
        site.ownerName = "main"
        site.created = "2026-11-24T13:40:11.000Z"
        site.creationFrames = [frame()]
        site.createdIn = "connect (app.py:9)"
        site.ownerState = "ended"
        site.type = "app.Connection"
        site.hook = "unraisable"
        site.collector = "running"
        site.generation = 2
        site.referrers = [TypeCount(type: "builtins.frame", count: 3)]
        site.referrersOf = "another"
        site.heldBy = ["frame lookup (app.py:11), local err"]
        site.allocatedAt = ["/srv/app.py:9"]
        site.living = 36_161
        report.dropSite = site
        var thrown = ThrownException()
        thrown.language = "C++"
        thrown.type = "std::runtime_error"
        thrown.message = "no such order"
        thrown.tid = 4715
        thrown.ageMilliseconds = 0.2
        thrown.frames = [frame()]
        report.thrown = thrown
        var growth = GrowthInfo()
        growth.cause = "collector_behind"
        growth.rssBytesBefore = 23_000_000
        growth.rssBytesNow = 211_000_000
        growth.overSeconds = 4
        growth.types = [.init(type: "app.Boom", before: 0, now: 36_161)]
        report.growth = growth
        var occasion = CountedOccasion()
        occasion.kind = .unraisable
        occasion.subject = "Connection"
        occasion.message = "dropped on another thread"
        occasion.count = 21_117
        occasion.captured = 1
        occasion.overSeconds = 3.9
        report.occasions = [occasion]
        report.threads = [thread()]
        var module = ModuleInfo()
        module.path = "/usr/lib/x86_64-linux-gnu/libc.so.6"
        module.base = Address(0x7f12_0000_0000)
        module.size = 2_097_152
        module.buildID = "ab12cd"
        module.debug = "found"
        report.modules = [module]
        var python = PythonInfo()
        python.interpreters = 2
        python.threads = 5
        python.gilHeld = true
        python.gilHolder = 4715
        python.gilWaiters = [4716]
        python.collecting = true
        python.collectedGeneration = 2
        report.python = python
        var crumb = Breadcrumb()
        crumb.time = "2026-11-24T13:40:12.000Z"
        crumb.tid = 4715
        crumb.category = "sql"
        crumb.message = "BEGIN"
        report.breadcrumbs = [crumb]
        report.logTail = ["last words"]
        report.fingerprint = Fingerprint(version: 1, hash: "00000000deadbeef", inputs: ["signal", "SIGSEGV"])
        var capture = CaptureInfo()
        capture.stage = "finished"
        capture.durations = [CaptureInfo.Step(name: "park", microseconds: 250)]
        capture.errors = ["One thread could not be parked."]
        capture.incomplete = true
        capture.level = "full"
        capture.suppressed = 3
        report.capture = capture
        report.resymbolicated = resymbolication()
        return report
    }

    private static func process() -> ProcessInfo {
        var process = ProcessInfo()
        process.pid = 4711
        process.program = "python3"
        process.argv = ["granite", "worker"]
        process.executable = "/usr/bin/granite"
        process.directory = "/srv/shop"
        process.uptimeSeconds = 193
        process.pythonVersion = "3.11.7"
        process.graniteVersion = "0.1.0"
        process.kernel = "6.1.0"
        process.architecture = "x86_64"
        var exit = ExitStatus()
        exit.number = 11
        exit.signal = "SIGSEGV"
        exit.coreDumped = false
        exit.code = 0
        process.exit = exit
        process.resources = ResourceUsage(userSeconds: 1.5, systemSeconds: 0.5, maxRSSBytes: 64_000_000)
        process.cgroup = "/system.slice/granite.service"
        process.rssBytes = 60_000_000
        process.memory = memory()
        process.killedBecause = "it was not ready after 60 s (--startup-timeout)"
        return process
    }

    private static func memory() -> MemoryInfo {
        var memory = MemoryInfo()
        memory.trend = [MemorySample(ageSeconds: 4, rssBytes: 48_000_000, requestsServed: 7, pythonObjects: 30_000)]
        var cgroup = CgroupMemory()
        cgroup.path = "/granite"
        cgroup.version = 2
        cgroup.limitBytes = 256_000_000
        cgroup.peakBytes = 256_000_000
        cgroup.currentBytes = 1_000_000
        cgroup.limitHits = 12
        cgroup.oomKills = 1
        memory.cgroup = cgroup
        var kill = OOMKillRecord()
        kill.pid = 4711
        kill.text = "Memory cgroup out of memory: Killed process 4711 (granite)"
        kill.wholeSystem = false
        kill.anonymousBytes = 240_000_000
        memory.oomKill = kill
        memory.kernelLogRead = true
        memory.systemOOMKills = 1
        return memory
    }

    private static func resymbolication() -> Resymbolication {
        var completion = Resymbolication()
        completion.time = "2026-11-24T14:00:00.000Z"
        completion.frames = 12
        completion.modules = ["/srv/bin/granite"]
        completion.previousFingerprint = "00000000feedface"
        return completion
    }

    private static func thread() -> ThreadReport {
        var thread = ThreadReport(tid: 4715)
        thread.name = "python-1"
        thread.crashed = true
        thread.state = "crashed"
        thread.holdsGIL = true
        thread.nativeName = "granite"
        var exception = ExceptionInfo()
        exception.type = "app.Refused"
        exception.message = "no"
        exception.file = "/srv/app.py"
        exception.line = 9
        exception.function = "refuse"
        exception.state = "handled"
        thread.exception = exception
        thread.registers = [ThreadReport.Register(name: "rip", value: Address(0x7f12_0015_b2a0), memory: "c5fe6f07")]
        thread.frames = [frame()]
        thread.unmergedPythonFrames = [frame()]
        thread.note = "The layout of this Python is not known."
        thread.truncated = false
        thread.folded = ThreadReport.FoldedCycle(start: 0, length: 1, repeats: 4091, atLeast: true)
        return thread
    }

    private static func frame() -> Frame {
        var frame = Frame(kind: .native)
        frame.index = 0
        frame.trust = .context
        frame.address = Address(0x7f12_0015_b2a0)
        frame.module = "/usr/lib/x86_64-linux-gnu/libc.so.6"
        frame.offset = Address(0x15b2a0)
        frame.symbol = "f(int)"
        frame.rawSymbol = "_Z1fi"
        frame.language = "C++"
        frame.inlined = false
        frame.file = "f.cc"
        frame.line = 14
        frame.column = 3
        frame.inApp = true
        frame.locals = [Frame.Local(name: "address", value: "0")]
        frame.source = [Frame.SourceLine(line: 14, text: "  return *p;")]
        return frame
    }

    /// Dotted paths of all fields inside `value` that are nil or empty lists.
    package static func unset(in value: Any, path: String = "report") -> [String] {
        let mirror = Mirror(reflecting: value)
        if mirror.displayStyle == .optional {
            guard let wrapped = mirror.children.first else { return [path] }
            return unset(in: wrapped.value, path: path)
        }
        if mirror.displayStyle == .collection, mirror.children.isEmpty { return [path] }
        return mirror.children.flatMap { unset(in: $0.value, path: "\(path).\($0.label ?? "0")") }
    }
}
