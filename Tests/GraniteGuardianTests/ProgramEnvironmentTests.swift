// What a program's environment has more than run's own.

import GraniteGuardian
import Testing

struct ProgramEnvironmentTests {
    private func environment(_ entries: String...) -> ProgramEnvironment {
        ProgramEnvironment(entries: entries.map { Array($0.utf8) })
    }

    private func text(_ environment: ProgramEnvironment) -> [String] {
        environment.entries.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func theLibraryIsPreloadedBeforeAllOthers() {
        let captured = environment("A=1", "LD_PRELOAD=/x.so /y.so").capturing(
            library: "/g.so", socket: "@s", level: nil)
        #expect(
            text(captured) == [
                "A=1", "LD_PRELOAD=/g.so:/x.so:/y.so", "GRANITE_RUN_SOCKET=@s", "GRANITE_BACKTRACE=full",
            ])
    }

    @Test func aRunWithinARunPreloadsItOnce() {
        let captured = environment("LD_PRELOAD=/g.so", "GRANITE_RUN_SOCKET=@outer", "GRANITE_BACKTRACE=short")
            .capturing(library: "/g.so", socket: "@inner", level: nil)
        #expect(text(captured) == ["LD_PRELOAD=/g.so", "GRANITE_RUN_SOCKET=@inner", "GRANITE_BACKTRACE=short"])
    }

    @Test func theOptionGoesBeforeTheEnvironment() {
        let captured = environment("GRANITE_BACKTRACE=short").capturing(library: "/g", socket: "@s", level: "off")
        #expect(captured["GRANITE_BACKTRACE"] == Array("off".utf8))
    }

    @Test func bytesThatAreNoTextStay() {
        let entry = Array("A=".utf8) + [0xff, 0xfe]
        let captured = ProgramEnvironment(entries: [entry]).capturing(library: "/g", socket: "@s", level: nil)
        #expect(captured.entries.first == entry)
    }

    @Test func theGuardianIsNotCaptured() {
        let own = environment("LD_PRELOAD=/g.so", "GRANITE_RUN_SOCKET=@outer", "A=1").withoutCapture()
        #expect(text(own) == ["A=1"])
    }
}
