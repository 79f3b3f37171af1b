// What is concluded of memory that grows, from numbers made up.

import GraniteReport
import Testing

@testable import GraniteCollector

struct GrowthRuleTests {
    private func verdict(_ cause: String?, _ types: [GrowthInfo.Growth]) -> Verdict {
        var growth = GrowthInfo()
        growth.cause = cause
        (growth.rssBytesBefore, growth.rssBytesNow, growth.overSeconds) = (23 << 20, 211 << 20, 4)
        growth.types = types
        var facts = CrashFacts(kind: .growth, pid: 1)
        facts.growth = growth
        return Diagnostician.diagnose(facts)
    }

    private let story = [
        GrowthInfo.Growth(type: "frame", before: 10, now: 144_651),
        GrowthInfo.Growth(type: "app.Boom", before: 0, now: 36_161),
    ]

    @Test func theCollectorThatDidNotRunThroughIsSaidToFallBehind() {
        let verdict = verdict("collector_behind", story)
        #expect(
            verdict.reason
                == "Memory grew from 23 MiB to 211 MiB in 4 s; 144,641 frame, 36,161 app.Boom more than before: exceptions keep"
                + " frames alive; what of it is in cycles only the garbage collector frees, and that falls behind: it did not"
                + " go through all objects meanwhile.")
        #expect(verdict.diagnosis.category == "growth")
        #expect(verdict.diagnosis.confidence == "possible")
    }

    @Test func whatAFullCollectionLeftIsKept() {
        let verdict = verdict("objects_kept", [.init(type: "dict", before: 5, now: 90_005)])
        #expect(
            verdict.reason.hasSuffix(
                "90,000 dict more than before: the garbage collector went through all objects"
                    + " meanwhile and left them: something keeps them."))
        #expect(verdict.diagnosis.confidence == "likely")
    }

    @Test func theLimitIsNamed() {
        #expect(verdict("max_rss", story).reason.hasSuffix("it is over --max-rss, and the worker is replaced."))
    }

    @Test func aReportWithoutNumbersSaysSo() {
        let facts = CrashFacts(kind: .growth, pid: 1)
        #expect(
            Diagnostician.diagnose(facts).reason == "Memory grew, and nothing that was captured says of what.")
    }

    /// A program asked for a report by granite_bind.h.
    @Test func aReportThatTheProgramAskedForSaysWhatItSaid() {
        var facts = CrashFacts(kind: .dump, pid: 1)
        var site = DropSite()
        (site.hook, site.subject, site.message) = ("c", "the end", "all is done")
        facts.dropSite = site
        #expect(Diagnostician.diagnose(facts).reason == "The program asked for a report: all is done.")
    }

    @Test func aProgramIsNoWorkerThatAPersonAskedFor() {
        var facts = CrashFacts(kind: .dump, pid: 1)
        #expect(Diagnostician.diagnose(facts).reason == "A person asked for a dump of the worker.")
        facts.program = "shop"
        #expect(Diagnostician.diagnose(facts).reason == "The program asked for a report.")
    }
}
