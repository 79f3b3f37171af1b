// Defines how each part of a report is read: leniently, so that a report of a newer version, a damaged one or a hostile one still
// shows what it has. Separate from the types, which say what a report holds. Writing is the compiler's.

extension CrashReport {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        id = fields.lenient(.id) ?? ""
        schema = fields.lenient(.schema) ?? ""
        time = fields.lenient(.time)
        kind = fields.lenient(.kind)
        reason = fields.lenient(.reason)
        diagnosis = fields.lenient(.diagnosis)
        signal = fields.lenient(.signal)
        process = fields.lenient(.process)
        worker = fields.lenient(.worker)
        request = fields.lenient(.request)
        requests = fields.lenientArray(.requests)
        recentRequests = fields.lenientArray(.recentRequests)
        dropSite = fields.lenient(.dropSite)
        thrown = fields.lenient(.thrown)
        growth = fields.lenient(.growth)
        occasions = fields.lenientArray(.occasions)
        threads = fields.lenientArray(.threads)
        python = fields.lenient(.python)
        modules = fields.lenientArray(.modules)
        breadcrumbs = fields.lenientArray(.breadcrumbs)
        logTail = fields.lenientArray(.logTail)
        fingerprint = fields.lenient(.fingerprint)
        capture = fields.lenient(.capture)
        resymbolicated = fields.lenient(.resymbolicated)
    }
}

extension Diagnosis {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        category = fields.lenient(.category) ?? Category.unknown.rawValue
        confidence = fields.lenient(.confidence) ?? ""
        evidence = fields.lenientArray(.evidence) ?? []
    }
}

extension SignalInfo {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        number = fields.lenient(.number)
        name = fields.lenient(.name)
        code = fields.lenient(.code)
        codeName = fields.lenient(.codeName)
        address = fields.lenient(.address)
        sender = fields.lenient(.sender)
    }
}

extension Fingerprint {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        version = fields.lenient(.version) ?? 0
        hash = fields.lenient(.hash) ?? ""
        inputs = fields.lenientArray(.inputs) ?? []
    }
}

extension CaptureInfo {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        stage = fields.lenient(.stage)
        durations = fields.lenientArray(.durations)
        errors = fields.lenientArray(.errors)
        incomplete = fields.lenient(.incomplete)
        level = fields.lenient(.level)
        suppressed = fields.lenient(.suppressed)
    }
}

extension ProcessInfo {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        pid = fields.lenient(.pid)
        program = fields.lenient(.program)
        argv = fields.lenientArray(.argv)
        executable = fields.lenient(.executable)
        directory = fields.lenient(.directory)
        uptimeSeconds = fields.lenient(.uptimeSeconds)
        pythonVersion = fields.lenient(.pythonVersion)
        graniteVersion = fields.lenient(.graniteVersion)
        kernel = fields.lenient(.kernel)
        architecture = fields.lenient(.architecture)
        exit = fields.lenient(.exit)
        resources = fields.lenient(.resources)
        cgroup = fields.lenient(.cgroup)
        rssBytes = fields.lenient(.rssBytes)
        memory = fields.lenient(.memory)
        killedBecause = fields.lenient(.killedBecause)
    }
}

extension ExitStatus {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        number = fields.lenient(.number)
        signal = fields.lenient(.signal)
        coreDumped = fields.lenient(.coreDumped)
        code = fields.lenient(.code)
    }
}

extension ResourceUsage {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        userSeconds = fields.lenient(.userSeconds) ?? 0
        systemSeconds = fields.lenient(.systemSeconds) ?? 0
        maxRSSBytes = fields.lenient(.maxRSSBytes) ?? 0
    }
}

extension WorkerInfo {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        slot = fields.lenient(.slot)
        generation = fields.lenient(.generation)
        respawnedAs = fields.lenient(.respawnedAs)
        respawnMilliseconds = fields.lenient(.respawnMilliseconds)
        uptimeSeconds = fields.lenient(.uptimeSeconds)
        requestsServed = fields.lenient(.requestsServed)
    }
}

extension RequestInfo {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        id = fields.lenient(.id)
        method = fields.lenient(.method)
        target = fields.lenient(.target)
        tid = fields.lenient(.tid)
        ageMilliseconds = fields.lenient(.ageMilliseconds)
    }
}

extension EndedRequest {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        id = fields.lenient(.id)
        method = fields.lenient(.method)
        target = fields.lenient(.target)
        status = fields.lenient(.status)
        durationMilliseconds = fields.lenient(.durationMilliseconds)
        agoSeconds = fields.lenient(.agoSeconds)
    }
}

extension ModuleInfo {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        path = fields.lenient(.path)
        base = fields.lenient(.base)
        size = fields.lenient(.size)
        buildID = fields.lenient(.buildID)
        debug = fields.lenient(.debug)
    }
}

extension Breadcrumb {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        time = fields.lenient(.time)
        tid = fields.lenient(.tid)
        category = fields.lenient(.category)
        message = fields.lenient(.message)
    }
}

extension ThreadReport {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        tid = fields.lenient(.tid) ?? 0
        name = fields.lenient(.name)
        nativeName = fields.lenient(.nativeName)
        crashed = fields.lenient(.crashed)
        state = fields.lenient(.state)
        holdsGIL = fields.lenient(.holdsGIL)
        exception = fields.lenient(.exception)
        registers = fields.lenientArray(.registers)
        frames = fields.lenientArray(.frames)
        unmergedPythonFrames = fields.lenientArray(.unmergedPythonFrames)
        note = fields.lenient(.note)
        truncated = fields.lenient(.truncated)
        folded = fields.lenient(.folded)
    }
}

extension Frame {
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        index = fields.lenient(.index)
        kind = fields.lenient(.kind) ?? .native
        trust = fields.lenient(.trust)
        address = fields.lenient(.address)
        module = fields.lenient(.module)
        offset = fields.lenient(.offset)
        symbol = fields.lenient(.symbol)
        rawSymbol = fields.lenient(.rawSymbol)
        language = fields.lenient(.language)
        inlined = fields.lenient(.inlined)
        file = fields.lenient(.file)
        line = fields.lenient(.line)
        column = fields.lenient(.column)
        inApp = fields.lenient(.inApp)
        locals = fields.lenientArray(.locals)
        source = fields.lenientArray(.source)
    }
}
