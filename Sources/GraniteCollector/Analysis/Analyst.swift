// Makes threads with names out of evidence: unwind, choose, name, merge Python in, fold. All of it works without the worker. It runs on
// whichever thread holds the Symbolizer.

import GraniteCrashChannel
import GraniteReport
import GraniteSymbols

/// What the analysis of one capture found.
struct Analysis {
    var threads: [ThreadReport] = []
    var modules: [ModuleInfo] = []
    var creationFrames: [Frame] = []
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

    func analyze() -> Analysis {
        var analysis = Analysis()
        guard let capture = evidence.page.capture else { return analysis }
        var clock = StepClock()
        if symbolizer == nil {
            analysis.errors.append("Names are missing: collectors before this one ended without this crash's report.")
            analysis.isIncomplete = true
        }
        let unwound = unwind(capture, &analysis)
        clock.lap("collector unwind")

        var namer = FrameNamer(modules: evidence.modules, images: evidence.images, symbolizer: symbolizer)
        var sources = SourceReader()
        for thread in unwound { analysis.threads.append(report(thread, capture, &namer, &sources, &analysis)) }
        clock.lap("collector symbolize")

        analysis.creationFrames = namer.name(
            capture.creationFrames.map { UnwoundFrame(address: $0.value, isReturnAddress: true, trust: .framePointer) })
        for index in analysis.creationFrames.indices { analysis.creationFrames[index].index = index }
        analysis.modules = modules(namedIn: analysis.threads.flatMap { $0.frames ?? [] } + analysis.creationFrames)
        analysis.errors += symbolizer?.takeProblems() ?? []
        clock.lap("collector modules")
        analysis.steps = clock.steps
        return analysis
    }

    private func unwind(_ capture: CrashPage.Capture, _ analysis: inout Analysis) -> [UnwoundThread] {
        let threads = isFull ? evidence.page.threads : Array(evidence.page.threads.prefix(1))
        let table = ModuleTable(evidence.modules)
        var unwound = threads.map { thread in
            UnwoundThread(raw: thread, frames: Self.context(thread), end: thread.hasRegisters ? .lost : .notParked)
        }
        if symbolizer != nil {
            do throws(CollectorError) {
                unwound = try walk(threads)
            } catch {
                analysis.errors.append("The stacks could not be unwound: \(error)")
                analysis.isIncomplete = true
            }
        }
        if let crashed = unwound.first {
            unwound[0] = FrameChoice.merge(
                cfi: crashed, handler: capture.handlerFrames.map(\.value),
                isCode: { table.index(containing: $0) != nil })
        }
        return unwound
    }

    private func walk(_ threads: [RawThread]) throws(CollectorError) -> [UnwoundThread] {
        let images = Dictionary(
            zip(evidence.modules, evidence.images).map { ($0.start, $1) }, uniquingKeysWith: { first, _ in first })
        let snapshot = evidence.page.snapshot
        let unwinder = try Unwinder(
            modules: evidence.modules, vdso: evidence.page.vdso, word: { snapshot?.word(at: $0) },
            openModule: { ModuleIdentity.open($0, image: images[$0.start]) })
        return threads.map(unwinder.unwind)
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
        var native = namer.name(thread.frames)
        if isCrashed {
            if capture.kind != .signal { native = CaptureFrames.removed(from: native) }
            let callers = evidence.asyncResumes.map { UnwoundFrame(address: $0, isReturnAddress: false, trust: .scan) }
            native = AsyncFrames.inserted(namer.name(callers), into: native)
        }
        report.state = ThreadState.describe(
            isCrashed: isCrashed && capture.kind == .signal, hasRegisters: thread.raw.hasRegisters, frames: native)

        let merged = merge(native, thread, &report)
        let folded = FrameFolding.fold(merged, reachedLimit: thread.end == .limit || thread.end == .missingMemory)
        report.frames = folded.frames
        report.folded = folded.cycle
        // A recursion that does not end is cut on purpose; its outer end is not missed.
        report.truncated = thread.end == .outermost || thread.end == .notParked ? nil : true
        if thread.end == .notParked {
            report.note = note(report.note, "The thread did not stop in time: it has no registers and no frames.")
        }
        if thread.end == .missingMemory, folded.cycle == nil {
            report.note = note(report.note, "The outer frames lie in memory that was not copied.")
        }
        if isCrashed { finishCrashed(&report, thread, &sources) }
        return report
    }

    private func merge(_ native: [Frame], _ thread: UnwoundThread, _ report: inout ThreadReport) -> [Frame] {
        let python = evidence.python?.threads.first { $0.threadID == thread.raw.fsBase && thread.raw.fsBase != 0 }
        var frames = native
        if let python {
            report.holdsGIL = python.holdsGIL
            let stack = mergePythonFrames(
                native: native, python: python.frames, nativeTruncated: thread.end != .outermost,
                pythonTruncated: python.truncated)
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
