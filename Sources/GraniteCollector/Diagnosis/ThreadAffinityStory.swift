// Tells the story of a Python object that is bound to its thread and went to another: what it is, whose it is, who released it and why
// there, what keeps its like alive, what it costs and what to do. Pure.

import GraniteReport

struct ThreadAffinityStory {
    let facts: CrashFacts
    let message: AffinityMessage

    private var site: DropSite { facts.dropSite ?? DropSite() }
    private var here: String { Wording.thread(facts.threadName, facts.crashedTid) }
    private var subject: String { message.type ?? site.type ?? "A Python object" }

    var verdict: Verdict {
        Verdict(
            .threadAffinity, .certain,
            told + [owner, creation, cycle, living, growth, counted, advice].compactMap { $0 }, reason)
    }

    private var reason: String {
        switch message.mistake {
        case .withoutGIL:
            return "A Python object was released by Rust code on \(here), which did not hold the GIL."
        case .dropped, .used:
            var text = "\(subject) was \(message.mistake == .used ? "used" : "dropped") on \(here)"
            let collection = CycleCollection(facts)
            if collection.isRunning {
                text += " during garbage collection" + (collection.generation.map { " of generation \($0)" } ?? "")
            }
            if let line = facts.frames.first(where: { $0.kind == .python }) {
                let innocent = collection == .onThread(collection.generation)
                text += (collection.isRunning ? ", while " : ", in ") + Self.place(line)
                if collection.isRunning { text += innocent ? " ran (an innocent line)" : " ran" }
            }
            text +=
                "; it belongs to "
                + (site.ownerTid.map { Wording.thread(site.ownerName ?? "", $0) } ?? "another thread")
            return Wording.sentence(text)
        }
    }

    /// `app.py:11 in lookup`.
    private static func place(_ frame: Frame) -> String {
        guard let file = frame.file else { return frame.symbol ?? "Python code" }
        return SourcePath.name(file) + (frame.line.map { ":\($0)" } ?? "") + (frame.symbol.map { " in \($0)" } ?? "")
    }

    /// Who noticed, and what the collector of cycles was doing.
    private var told: [String] {
        let hook =
            switch site.hook {
            case "threading": "threading.excepthook was called on \(here)"
            case "sys": "sys.excepthook was called on \(here)"
            case "rust": "the application's call ended with it on \(here)"
            default:
                message.mistake == .dropped
                    ? "sys.unraisablehook was called on \(here): PyO3 cannot raise an error where an object is released, and leaks what it held"
                    : "it was raised on \(here)"
            }
        return [hook, CycleCollection(facts).evidence].compactMap { $0 }
    }

    private var owner: String? {
        guard message.mistake != .withoutGIL, let tid = site.ownerTid else { return nil }
        let state = site.ownerState == "ended" ? ", which has ended" : ""
        return "it belongs to \(Wording.thread(site.ownerName ?? "", tid))\(state)"
    }

    private var creation: String? {
        guard site.ownerTid != nil else {
            let isWatched = site.living != nil || site.referrersOf == "another"
            return message.type.map { _ in
                "where it was made is not known: "
                    + (isWatched
                        ? "it was made before its type was watched"
                        : "a type is watched from its first report on, and a later one may say it")
            }
        }
        let time = site.created.map { " at \($0.dropFirst(11).prefix(12)) UTC" } ?? ""
        let module = site.creationFrames?.lazy.compactMap(\.module).first.map { SourcePath.name($0) }
        let place = site.createdIn.map { " in \($0)" } ?? module.map { " by native code of \($0)" } ?? ""
        return time.isEmpty && place.isEmpty ? nil : "it was made\(time)\(place)"
    }

    /// The frames that the cycle goes through; all its steps are in the report.
    private var cycle: String? {
        guard let steps = site.heldBy, let first = steps.first else { return nil }
        let which = site.referrersOf == "another" ? "another living object of its type" : "it"
        var frames: [String] = []
        for step in steps.dropFirst() where step.hasPrefix("frame ") && !step.contains(") again") {
            frames.append(String(step.dropFirst("frame ".count)))
        }
        let through = frames.isEmpty ? "" : ", and from there by " + frames.joined(separator: " and ")
        return
            "\(which) is kept alive by a cycle of references through \(first)\(through): only the garbage collector frees it, on whichever thread that runs"
    }

    private var living: String? {
        site.living.flatMap {
            $0 > 0 ? "\(Quantity.count($0, "object")) of its type \($0 == 1 ? "is" : "are") alive" : nil
        }
    }

    /// `memory grew by 47 MiB/s over 4 s`.
    private var growth: String? {
        guard let memory = facts.memory else { return nil }
        let last = max(memory.lastBytes(peak: facts.maxRSSBytes), facts.rssBytes)
        guard let growth = memory.growth(to: last), let span = Quantity.duration(seconds: growth.seconds) else {
            return nil
        }
        let perSecond = Double(last - growth.from) / growth.seconds
        guard perSecond.isFinite, perSecond >= 1024, perSecond < 1e15 else { return nil }
        return "memory grew by \(Quantity.memory(UInt64(perSecond)))/s over \(span)"
    }

    private var counted: String? {
        let count = facts.occasions.filter { $0.message.flatMap(AffinityMessage.init) == message }
            .reduce(0) { $0 &+ max(0, $1.count ?? 0) }
        return count > 1 ? "there were \(Quantity.grouped(count - 1)) like it in this process before" : nil
    }

    private var advice: String {
        if message.mistake == .withoutGIL {
            return
                "the extension is at fault: its code must attach to the interpreter before it releases a Python object; look for a newer version of it"
        }
        if let bug = message.type.flatMap(KnownBug.about) { return bug.advice }
        if message.mistake == .used {
            return
                "an object of an unsendable PyO3 class may be used on the thread that made it alone: make one for each thread, or make the class Send"
        }
        return
            "an object of an unsendable PyO3 class must be released on the thread that made it: release it there, break the cycle (del the local that keeps the exception), or make the class Send"
    }
}
