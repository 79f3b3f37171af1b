// How an exception reads that was thrown elsewhere than where it ended the thread.

import GraniteReport
import Testing

@testable import GraniteExport

struct ThrownTextTests {
    private static func frame(_ symbol: String, _ address: UInt64, line: Int) -> Frame {
        var frame = Sample.native(
            symbol, "/srv/shop/shop", file: "/srv/shop/orders.cpp", line: line, language: "C++")
        frame.address = Address(address)
        return frame
    }

    private static func died(thrownAt addresses: [UInt64]) -> CrashReport {
        var report = CrashReport(id: "01JDF3T8Q2M4V6X8ZB0D2F4H6K")
        report.kind = .signal
        report.reason = "orders::load() threw shop::NoOrder, which nothing caught."
        report.signal = SignalInfo()
        report.signal?.name = "SIGABRT"
        report.process = ProcessInfo()
        report.process?.program = "shop"
        report.process?.directory = "/srv/shop"
        report.threads = [
            Sample.thread(
                4711, "shop", state: "crashed", crashed: true,
                [frame("orders::close()", 0x30, line: 50), frame("main", 0x40, line: 90)])
        ]
        var thrown = ThrownException()
        thrown.language = "C++"
        thrown.type = "shop::NoOrder"
        thrown.tid = 4711
        thrown.ageMilliseconds = 0.25
        thrown.frames = addresses.map { frame("orders::load()", $0, line: 20) }
        report.thrown = thrown
        return report
    }

    @Test func aThrowThatTheStackDoesNotShowHasItsOwn() {
        #expect(
            ReportText(Self.died(thrownAt: [0x10, 0x40])).rendered == """
                *** granite crash 01JDF3T8Q2M4V6X8ZB0D2F4H6K · shop died of SIGABRT
                    orders::load() threw shop::NoOrder, which nothing caught.

                Thread 4711 "shop" crashed
                  0 C++    orders::close()       orders.cpp:50
                  1 C++    main                  orders.cpp:90

                Thrown     shop::NoOrder (C++), 0.3 ms before
                  0 C++    orders::load()        orders.cpp:20
                  1 C++    orders::load()        orders.cpp:20

                """)
    }

    @Test func aThrowThatTheStackShowsIsALine() {
        let text = ReportText(Self.died(thrownAt: [0x30, 0x40])).rendered
        #expect(text.contains("\nThrown     shop::NoOrder (C++), 0.3 ms before\n"))
        #expect(!text.contains("orders.cpp:20"))
    }

    @Test func anotherThreadIsNamed() {
        var report = Self.died(thrownAt: [])
        report.thrown?.tid = 4720
        #expect(ReportText(report).rendered.contains("before, by thread 4720\n"))
    }

    @Test func aPanicWhoseStackIsAboveNeedsNoParagraph() {
        var report = Self.died(thrownAt: [0x30])
        report.thrown?.language = "Rust"
        report.thrown?.type = nil
        #expect(!ReportText(report).rendered.contains("Thrown"))
    }

    @Test func aHostileTypeBreaksNoLine() {
        var report = Self.died(thrownAt: [])
        report.thrown?.type = "A\u{1b}[31m\nThread 1 crashed"
        #expect(!ReportText(report).rendered.contains("\u{1b}"))
        #expect(!ReportText(report).rendered.contains("\nThread 1 crashed"))
    }
}
