import Foundation
import GraniteReport
import Testing

@testable import GraniteSupervisor

struct KernelLogTests {
    static let record =
        "6,1196,6031587423,-;Memory cgroup out of memory: Killed process 4711 (granite) total-vm:1240124kB, anon-rss:243120kB, file-rss:51200kB, shmem-rss:0kB, UID:0 pgtables:884kB oom_score_adj:0\n"

    @Test func theVictimItsMemoryAndWhoWasShortOfItAreRead() throws {
        let kill = try #require(KernelLog.kill(in: Self.record.trimmingCharacters(in: .newlines)))
        #expect(kill.pid == 4711)
        #expect(kill.wholeSystem == false)
        #expect(kill.anonymousBytes == 243_120 * 1024)
        #expect(kill.text?.hasPrefix("Memory cgroup out of memory: Killed process 4711 (granite)") == true)
        let global = KernelLog.kill(
            in: "3,1,2,-;Out of memory: Killed process 9 (a) b) total-vm:1kB, anon-rss:99999999999999999999kB")
        #expect(global?.pid == 9)
        #expect(global?.wholeSystem == true)
        #expect(global?.anonymousBytes == nil)
    }

    @Test(arguments: [
        "", ";", "Killed process", "6,1,2,-;Killed process x", "6,1,2,-;Killed process -4 (a)",
        "6,1,2,-;Killed process 99999999999999999999 (a)", "12,1,2,-;app: Out of memory: Killed process 4711 (granite)",
        "6,1,2,-;oom_reaper: reaped process 4711 (granite), now anon-rss:0kB",
    ])
    func anyOtherLineIsNone(line: String) { #expect(KernelLog.kill(in: line) == nil) }

    @Test func onlyWhatComesAfterTheStartCountsAndOnlyForThatPid() throws {
        let tree = try FileTree(["/dev/kmsg": Self.record])
        let log = KernelLog(path: tree.root + "/dev/kmsg", sharesPids: true)
        #expect(log.isReadable)
        #expect(log.kill(of: 4711) == nil)
        try tree.append("/dev/kmsg", "6,1197,1,-;usb 1-1: new device\n SUBSYSTEM=usb\n" + Self.record)
        #expect(log.kill(of: 47) == nil)
        #expect(log.kill(of: 4711)?.pid == 4711)
    }

    @Test func withoutTheFileOrInAnotherPidNamespaceItIsNotReadable() throws {
        #expect(!KernelLog(path: "/nonexistent/kmsg").isReadable)
        let tree = try FileTree(["/dev/kmsg": ""])
        let log = KernelLog(path: tree.root + "/dev/kmsg", sharesPids: false)
        try tree.append("/dev/kmsg", Self.record)
        #expect(!log.isReadable && log.kill(of: 4711) == nil)
    }
}
