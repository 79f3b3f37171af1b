// Makes threads with names out of evidence: unwind, choose, name, merge Python in, fold. All of it works without the worker. It runs on
// whichever thread holds the Symbolizer.

import GraniteCrashChannel
import GraniteReport
import GraniteSymbols

/// What the analysis of one capture found.
struct Analysis {
    var threads: [ThreadReport] = []
    var python: PythonInfo?
    var modules: [ModuleInfo] = []
    var creationFrames: [Frame] = []
    /// What the crashed thread threw last, if its end followed from it.
    var thrown: ThrownException?
    var steps: [CaptureInfo.Step] = []
    var errors: [String] = []
    var isIncomplete = false
}

struct Analyst {
    let evidence: Evidence
    /// nil: no file is opened. The report then has what the handler walked, as modules and offsets.
    let symbolizer: Symbolizer?
    /// All threads, all modules, registers; else the crashed thread alone.
    let isFull: Bool

    private let matching: PythonMatching

    init(evidence: Evidence, symbolizer: Symbolizer?, isFull: Bool) {
        self.evidence = evidence
        self.symbolizer = symbolizer
        self.isFull = isFull
        matching = PythonMatching(
            python: evidence.python?.threads ?? [], threads: evidence.page.threads, map: evidence.page.map)
    }

    func analyze() -> Analysis {
        var analysis = Analysis()
        guard let capture = evidence.page.capture else { return analysis }
        var clock = StepClock()
        if symbolizer == nil {
            analysis.errors.append("Names are missing: collectors before this one ended without this crash's report.")
            analysis.isIncomplete = true
        }
        let unwound = unwound(capture)

        var namer = FrameNamer(modules: evidence.modules, images: evidence.images, symbolizer: symbolizer)
        var sources = SourceReader()
        for thread in unwound { analysis.threads.append(report(thread, capture, &namer, &sources, &analysis)) }
        analysis.threads += PythonThreadReport.unmatched(matching.unmatched, isFull: isFull)
        analysis.errors += PythonThreadReport.problems(matching, threads: evidence.page.threads, evidence.python)
        analysis.python = evidence.python.map {
            PythonThreadReport.info($0, matching: matching, threads: evidence.page.threads)
        }
        clock.lap("collector symbolize")

        analysis.creationFrames = namer.name(
            capture.creationFrames.map { UnwoundFrame(address: $0.value, isReturnAddress: true, trust: .framePointer) })
        for index in analysis.creationFrames.indices { analysis.creationFrames[index].index = index }
        analysis.thrown = ThrownExceptions(thrown: evidence.page.thrown).report(
            of: capture, frames: analysis.threads.first?.frames ?? [], namer: &namer)
        let elsewhere = analysis.creationFrames + (analysis.thrown?.frames ?? [])
        analysis.modules = modules(namedIn: analysis.threads.flatMap { $0.frames ?? [] } + elsewhere)
        analysis.errors += symbolizer?.takeProblems() ?? []
        clock.lap("collector modules")
        analysis.steps = clock.steps
        return analysis
    }

    /// The walks, or where no file may be opened the registers alone; the crashed thread's compared with the handler's own walk.
    private func unwound(_ capture: CrashPage.Capture) -> [UnwoundThread] {
        var unwound = evidence.unwound
        if unwound.isEmpty {
            unwound = (isFull ? evidence.page.threads : Array(evidence.page.threads.prefix(1))).map { thread in
                UnwoundThread(raw: thread, frames: Self.context(thread), end: thread.hasRegisters ? .lost : .notParked)
            }
        }
        let table = ModuleTable(evidence.modules)
        if let crashed = unwound.first {
            unwound[0] = FrameChoice.merge(
                cfi: crashed, handler: capture.handlerFrames.map(\.value),
                isCode: { table.index(containing: $0) != nil })
        }
        return unwound
    }

    /// The one frame that is known without a walk.
    private static func context(_ thread: RawThread) -> [UnwoundFrame] {
        guard thread.hasRegisters, thread.registers.count > Registers.programCounter else { return [] }
        return [.init(address: thread.registers[Registers.programCounter], isReturnAddress: false, trust: .context)]
    }

    private func report(
        _ thread: UnwoundThread, _ capture: CrashPage.Capture, _ namer: inout FrameNamer, _ sources: inout SourceReader,
        _ analysis: inout Analysis
    ) -> ThreadReport {
        let isCrashed = thread.raw.isCrashed
        var report = ThreadReport(tid: thread.raw.tid)
        report.name = thread.raw.name.isEmpty ? nil : thread.raw.name
        report.crashed = isCrashed ? true : nil
        // A runaway recursion is folded before its frames get names. With Python frames to merge in, every native one is needed.
        let deep = DeepStack(
            thread,
            foldsFrom: matching.states[thread.raw.tid] == nil ? DeepStack.minFrames : DeepStack.maxMergedFrames)
        var (native, cycle) = deep.named(&namer)
        if isCrashed {
            let count = native.count
            if capture.kind != .signal { native = CaptureFrames.removed(from: native) }
            native = AsyncFrames.inserted(asyncCallers(native, thread, &namer), into: native)
            if let start = cycle?.start { cycle?.start = max(0, start + native.count - count) }
        }
        report.state = ThreadState.describe(
            isCrashed: isCrashed && capture.kind == .signal, hasRegisters: thread.raw.hasRegisters, frames: native)

        let merged = merge(native, thread, &report, isSignal: capture.kind == .signal)
        if let cycle {
            report.frames = DeepStack.renumbered(merged, around: cycle)
            report.folded = cycle
        } else {
            let folded = FrameFolding.fold(merged, reachedLimit: thread.end == .limit || thread.end == .missingMemory)
            report.frames = folded.frames
            report.folded = folded.cycle
        }
        report.truncated = thread.end == .outermost || thread.end == .notParked ? nil : true
        if thread.end == .notParked {
            report.note = note(report.note, "The thread did not stop in time: it has no registers and no frames.")
        }
        for text in thread.notes { report.note = note(report.note, text) }
        report.note = note(report.note, Self.sentence(thread.end, thread.frames.count))
        if isCrashed { finishCrashed(&report, thread, &sources) }
        return report
    }

    /// The waiting async callers of the innermost async function, with names. A word is its context if what it leads to are parts of
    /// async functions; of several the one that leads farthest.
    private func asyncCallers(_ native: [Frame], _ thread: UnwoundThread, _ namer: inout FrameNamer) -> [Frame] {
        guard !evidence.asyncChains.isEmpty,
            let innermost = native.prefix(AsyncFrames.depth).first(where: AsyncFrames.isAsync),
            let index = thread.frames.firstIndex(where: { $0.address == innermost.address?.value }),
            index < thread.asyncContexts.count
        else { return [] }
        var best: [Frame] = []
        // What a callee saved of it is as good.
        for word in thread.asyncContexts[...index].joined() {
            guard let resumes = evidence.asyncChains[word] else { continue }
            let frames = resumes.flatMap {
                namer.name(UnwoundFrame(address: $0, isReturnAddress: false, trust: .cfi))
            }
            guard frames.contains(where: AsyncFrames.isAsync), frames.count > best.count else { continue }
            best = frames
        }
        return best
    }

    private static func sentence(_ end: WalkEnd, _ count: Int) -> String? {
        switch end {
        case .outermost, .notParked: nil
        case .missingMemory: "The outer frames lie in memory that was not copied."
        case .limit: "More than \(count) frames were not looked at."
        case .lost: "Nothing on the stack leads to the caller of the outermost frame shown."
        }
    }

    private func merge(
        _ native: [Frame], _ thread: UnwoundThread, _ report: inout ThreadReport, isSignal: Bool
    ) -> [Frame] {
        let states = matching.states[thread.raw.tid] ?? []
        var frames = native
        if !states.isEmpty {
            PythonThreadReport.describe(&report, thread.raw, states, gils: evidence.python?.gilRanges ?? [])
            let stack = mergePythonStates(
                native: native, states: states, nativeTruncated: thread.end != .outermost,
                innermostIsLinked: isSignal || !thread.raw.isCrashed
                    ? isInnermostLoopLinked(thread.frames, state: states.first) : nil)
            frames = stack.frames
            report.unmergedPythonFrames = stack.unmerged?.map(Self.withInApp)
            report.note = note(report.note, stack.note)
        }
        for index in frames.indices {
            frames[index].index = index
            if frames[index].kind == .python { frames[index].inApp = InAppRule.isInApp(frames[index]) }
        }
        return frames
    }

    private static func withInApp(_ frame: Frame) -> Frame {
        var frame = frame
        frame.inApp = InAppRule.isInApp(frame)
        return frame
    }

    private func note(_ first: String?, _ second: String?) -> String? {
        guard let first, let second else { return first ?? second }
        return first + " " + second
    }

    /// What only the crashed thread has: registers, and lines of source where they help.
    private func finishCrashed(_ report: inout ThreadReport, _ thread: UnwoundThread, _ sources: inout SourceReader) {
        if thread.raw.hasRegisters {
            report.registers = zip(Registers.names, thread.raw.registers).enumerated().map { index, register in
                let memory = evidence.nearRegisters[index].map(Self.hexadecimal)
                return .init(name: register.0, value: Address(register.1), memory: memory)
            }
        }
        func withSource(_ frame: Frame) -> Frame {
            var frame = frame
            if symbolizer != nil, frame.kind == .python || frame.inApp == true, let file = frame.file,
                let line = frame.line
            {
                frame.source = sources.excerpt(of: file, around: line)
            }
            return frame
        }
        report.frames = report.frames?.map(withSource)
        report.unmergedPythonFrames = report.unmergedPythonFrames?.map(withSource)
    }

    static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// All modules at level full, else those that frames name.
    private func modules(namedIn frames: [Frame]) -> [ModuleInfo] {
        let named = Set(frames.compactMap(\.module))
        return zip(evidence.modules, evidence.images).filter { isFull || named.contains($0.0.path) }.map {
            module, image in
            var info = ModuleInfo()
            info.path = module.path
            info.base = Address(module.start)
            info.size = module.end - module.start
            let buildID = image.buildID ?? image.memory.flatMap { ELFImage.buildID(bytes: $0) }
            info.buildID = (buildID ?? (symbolizer == nil ? nil : ELFImage.buildID(path: module.path))).map(
                Self.hexadecimal)
            info.debug = symbolizer?.debugStatus(of: image)
            return info
        }
    }
}
