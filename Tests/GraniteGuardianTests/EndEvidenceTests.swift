// How ends are judged: which deserve a report, and what is believed about them.

import GraniteGuardian
import Testing

struct EndEvidenceTests {
    private func evidence(_ status: Int32) -> EndEvidence {
        var evidence = EndEvidence()
        evidence.fromKernel = status
        return evidence
    }

    @Test(arguments: [0, 1 << 8, 77 << 8, 15, 2, 1, 13, 9] as [Int32])
    func endsAsProgramsEndNeedNoReport(status: Int32) {
        #expect(evidence(status).isOrdinary(reportsExits: false))
    }

    @Test(arguments: [11, 6, 11 | 0x80, 8, 31, 24] as [Int32])
    func deathsOfOtherSignalsAreReported(status: Int32) {
        #expect(!evidence(status).isOrdinary(reportsExits: false))
    }

    @Test func exitCodesAndSIGKILLAreReportedOnDemand() {
        #expect(!evidence(7 << 8).isOrdinary(reportsExits: true))
        #expect(!evidence(9).isOrdinary(reportsExits: true))
        #expect(evidence(0).isOrdinary(reportsExits: true))
        #expect(evidence(15).isOrdinary(reportsExits: true))
    }

    @Test func aSIGKILLWhileTheOOMKillerStruckIsReported() {
        var killed = evidence(9)
        killed.oomKillerStruck = true
        #expect(!killed.isOrdinary(reportsExits: false))
    }

    @Test func whatNobodyKnowsIsNotReported() {
        #expect(EndEvidence().waitStatus == nil)
        #expect(EndEvidence().isOrdinary(reportsExits: true))
    }

    @Test func waitingTellsMoreThanThePage() {
        var evidence = EndEvidence()
        evidence.notedExitCode = 3
        #expect(evidence.waitStatus == 3 << 8)
        // A destructor may crash after exit(3) was called.
        evidence.fatalSignal = 11
        #expect(evidence.waitStatus == 11)
        evidence.fromKernel = 6
        #expect(evidence.waitStatus == 6)
        evidence.fromRun = 0
        #expect(evidence.waitStatus == 0)
    }

    @Test func aZombiesStatusIsItsFiftySecondField() {
        let fields = (4...51).map { "\($0)" }.joined(separator: " ")
        #expect(EndEvidence.waitStatus(ofZombie: "4711 (a) b) Z \(fields) 139\n") == 139)
        #expect(EndEvidence.waitStatus(ofZombie: "4711 (a) S \(fields) 139\n") == nil)
        #expect(EndEvidence.waitStatus(ofZombie: "4711 (a) Z 1 2 3") == nil)
        #expect(EndEvidence.waitStatus(ofZombie: "") == nil)
    }
}
