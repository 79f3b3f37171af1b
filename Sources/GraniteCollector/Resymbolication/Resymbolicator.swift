// Completes a stored report with symbols that were not at hand when it was made: names, inlined functions, lines and source. It needs the
// report alone, whose frames have module and offset, and whose modules have build-ids, so it works on any machine.

package import GraniteReport
package import GraniteSymbols

/// One report's completion. Used by one thread, with a symbolizer that opens no file but of the build asked for.
package struct Resymbolicator {
    private let symbolizer: Symbolizer
    private let readsSource: Bool
    private var sources = SourceReader()
    private var completed = 0
    private var usedModules: [String] = []
    private var images: [Key: ModuleImage?] = [:]
    private var modules: [ModuleInfo] = []

    private struct Key: Hashable {
        var path: String
        var base: UInt64
    }

    /// - Parameter readsSource: puts lines of source beside the crashed thread's frames where the files are on this machine.
    package init(symbolizer: Symbolizer, readsSource: Bool = true) {
        self.symbolizer = symbolizer
        self.readsSource = readsSource
    }

    /// The report with what the symbols tell, and the number of frames that they told more about. Everything else stays: the id, what was
    /// captured, Python's frames, native frames for whose build there are no symbols. Where a name changes the fingerprint, it becomes
    /// that of the names, so that the crash groups with those of machines that had the symbols; the old one is kept in `resymbolicated`.
    /// - Parameter time: now, RFC 3339.
    package mutating func complete(_ report: CrashReport, time: String) -> (report: CrashReport, frames: Int) {
        completed = 0
        usedModules = []
        images = [:]
        modules = report.modules ?? []
        let before = report.crashedThread?.frames ?? []
        var result = report
        let wasCalled = report.kind != .signal
        result.threads = report.threads?.map { thread in
            var thread = complete(thread)
            if wasCalled, thread.crashed == true, thread.folded == nil, let frames = thread.frames, completed > 0 {
                // Without names the capture's own frames could not be told from what they are to show.
                let kept = CaptureFrames.removed(from: frames)
                thread.frames = kept.count == frames.count ? frames : Self.numbered(kept)
            }
            return thread
        }
        if let frames = report.dropSite?.creationFrames {
            result.dropSite?.creationFrames = complete(frames, allReturnAddresses: true, withSource: false).frames
        }
        guard completed > 0 else { return (report, 0) }
        result.modules = modules.map { module in
            var module = module
            if let path = module.path, usedModules.contains(path), let image = image(of: module) {
                module.debug = symbolizer.debugStatus(of: image) == "found" ? "found" : module.debug
            }
            return module
        }
        result.reason = report.reason.map { Self.reason($0, before, result.crashedThread?.frames ?? []) }
        var note = Resymbolication()
        note.time = time
        note.frames = completed
        note.modules = usedModules
        note.previousFingerprint = report.resymbolicated?.previousFingerprint
        if let old = report.fingerprint {
            let new = Fingerprint.make(for: result)
            result.fingerprint = new
            if new.hash != old.hash, note.previousFingerprint == nil { note.previousFingerprint = old.hash }
        }
        result.resymbolicated = note
        return (result, completed)
    }

    /// The builds that frames of the report name, and of which the symbolizer has no debug information: what is worth fetching.
    package func missing(in report: CrashReport) -> [(path: String, buildID: [UInt8])] {
        let frames = (report.threads ?? []).flatMap { $0.frames ?? [] } + (report.dropSite?.creationFrames ?? [])
        let named = Set(frames.filter { $0.kind != .python }.compactMap(\.module))
        var seen: Set<[UInt8]> = []
        return (report.modules ?? []).compactMap { module in
            guard let path = module.path, named.contains(path), let image = Self.makeImage(module),
                let buildID = image.buildID, symbolizer.debugStatus(of: image) != "found", seen.insert(buildID).inserted
            else { return nil }
            return (path, buildID)
        }
    }

    private mutating func complete(_ thread: ThreadReport) -> ThreadReport {
        guard let frames = thread.frames else { return thread }
        let completed = complete(frames, allReturnAddresses: false, withSource: thread.crashed == true)
        var thread = thread
        thread.frames = completed.frames
        if let cycle = thread.folded, cycle.start >= 0, cycle.length > 0,
            case let (end, overflow) = cycle.start.addingReportingOverflow(cycle.length), !overflow,
            end <= frames.count
        {
            // The same frames, which may have become more by inlined ones.
            let positions = completed.positions + [completed.frames.count]
            var cycle = cycle
            cycle.length = positions[end] - positions[cycle.start]
            cycle.start = positions[cycle.start]
            thread.folded = cycle
            if frames.first?.index != nil { thread.frames = DeepStack.renumbered(completed.frames, around: cycle) }
        }
        return thread
    }

    /// `positions[i]` is where the first of what frame `i` became stands.
    private mutating func complete(
        _ frames: [Frame], allReturnAddresses: Bool, withSource: Bool
    ) -> (frames: [Frame], positions: [Int]) {
        var result: [Frame] = []
        var positions: [Int] = []
        var index = 0
        while index < frames.count {
            // A chain: inlined functions and, last, the one that they were inlined into, all at one address.
            var end = index
            while end + 1 < frames.count, frames[end].inlined == true, Self.isSamePlace(frames[end], frames[end + 1]) {
                end += 1
            }
            let chain = Array(frames[index...end])
            let isReturn = allReturnAddresses || Self.isReturnAddress(chain[0], after: result.last)
            let replaced = named(chain, isReturnAddress: isReturn)
            positions += chain.indices.map { result.count + min($0, (replaced ?? chain).count - 1) }
            for frame in replaced ?? chain {
                var frame = frame
                if withSource, readsSource, replaced != nil, frame.inApp == true, let file = frame.file,
                    let line = frame.line
                {
                    frame.source = sources.excerpt(of: file, around: line)
                }
                result.append(frame)
            }
            index = end + 1
        }
        return (frames.first?.index == nil ? result : Self.numbered(result), positions)
    }

    private static func numbered(_ frames: [Frame]) -> [Frame] {
        frames.enumerated().map { index, frame in
            var frame = frame
            frame.index = index
            return frame
        }
    }

    /// The chain anew; nil if the symbols tell no more than it has.
    private mutating func named(_ chain: [Frame], isReturnAddress: Bool) -> [Frame]? {
        guard let first = chain.first, first.kind != .python, let offset = first.offset?.value,
            let image = image(holding: first)
        else { return nil }
        let functions = symbolizer.symbolize(address: offset, isReturnAddress: isReturnAddress, in: image)
        guard !functions.isEmpty else { return nil }
        var bare = Frame(kind: first.kind)
        bare.trust = first.trust
        bare.address = first.address
        bare.module = first.module
        bare.offset = first.offset
        let named = functions.map { bare.named($0) }
        func told(_ frames: [Frame]) -> Int {
            frames.reduce(0) { $0 + ($1.symbol == nil ? 0 : 1) + ($1.file == nil ? 0 : 1) + ($1.line == nil ? 0 : 1) }
        }
        guard told(named) > told(chain) else { return nil }
        completed += 1
        if let path = first.module, !usedModules.contains(path) { usedModules.append(path) }
        return named
    }

    /// The module of a frame, by path and, where a path was mapped more than once, by address.
    private mutating func image(holding frame: Frame) -> ModuleImage? {
        guard let path = frame.module else { return nil }
        let candidates = modules.filter { $0.path == path }
        let module =
            candidates.count < 2
            ? candidates.first
            : candidates.first { module in
                guard let address = frame.address?.value, let base = module.base?.value else { return false }
                return address >= base && address - base <= module.size ?? 0
            }
        return module.flatMap { image(of: $0) }
    }

    private mutating func image(of module: ModuleInfo) -> ModuleImage? {
        let key = Key(path: module.path ?? "", base: module.base?.value ?? 0)
        if let known = images[key] { return known }
        let image = Self.makeImage(module)
        images[key] = image
        return image
    }

    /// As if mapped at 0, since frames have offsets. Without a build-id nothing proves that a file is the one that crashed.
    private static func makeImage(_ module: ModuleInfo) -> ModuleImage? {
        guard let path = module.path, path.hasPrefix("/"), let text = module.buildID,
            let buildID = BuildID.bytes(text)
        else { return nil }
        return ModuleImage(path: path, start: 0, end: .max, bias: 0, buildID: buildID)
    }

    private static func isSamePlace(_ one: Frame, _ other: Frame) -> Bool {
        one.kind == other.kind && one.module == other.module && one.offset == other.offset && one.offset != nil
            && one.address == other.address
    }

    /// The interrupted instruction is looked up itself, and so are the one that a signal handler interrupted, behind the frame of the
    /// trampoline that the kernel returns by, and the resume function of a waiting async caller; all others are return addresses.
    private static func isReturnAddress(_ frame: Frame, after inner: Frame?) -> Bool {
        if frame.kind == .swiftAsync || frame.trust == .context { return false }
        return inner?.isSignalTrampoline != true
    }

    /// The report's sentence begins with the function that did it; without symbols that was "The program", or a caller further out.
    private static func reason(_ reason: String, _ before: [Frame], _ after: [Frame]) -> String {
        guard let new = Wording.function(after) else { return reason }
        if reason.hasPrefix("The program jumped to ") {
            let caller = after.dropFirst().first { $0.kind == .native }?.symbol.map(Wording.bare)
            return caller.map { "\($0) called " + reason.dropFirst("The program jumped to ".count) } ?? reason
        }
        let old = Wording.function(before) ?? "The program"
        guard old != new, reason.hasPrefix(old + " ") else { return reason }
        return new + reason.dropFirst(old.count)
    }
}
