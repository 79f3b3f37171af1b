// The small words: numbers, names cut to a column, the list.

import GraniteReport
import Testing

@testable import GraniteExport

struct WordsTests {
    @Test(arguments: [
        (0, "0 ms"), (0.00004, "0 ms"), (0.0021, "2.1 ms"), (0.0382, "38 ms"), (0.9994, "999 ms"), (0.9996, "1 s"), (7.46, "7.5 s"), (59.94, "60 s"),
        (59.96, "1 min 0 s"), (192.4, "3 min 12 s"), (18_180, "5 h 3 min"), (1_051_200, "12 d 4 h"), (9e10, "1,041,666 d 16 h"),
    ])
    func durationsAreWrittenForPeople(seconds: Double, text: String) { #expect(Quantity.duration(seconds: seconds) == text) }

    @Test func countsAndOrdinalsAreWrittenForPeople() {
        #expect([0, 999, 1000, 18_204, -1_234_567, .min].map { Quantity.grouped($0) } == [
            "0", "999", "1,000", "18,204", "-1,234,567", "-9,223,372,036,854,775,808",
        ])
        #expect([1, 2, 3, 4, 11, 12, 13, 21, 112].map(Quantity.ordinal) == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th"])
        #expect([0, 999, 64_123_456, .max].map(Quantity.bytes) == ["0 B", "999 B", "64 MB", "18447 PB"])
    }

    @Test(arguments: [
        ("short", 10, "short"), ("f(_: A.B, c: [D: E]) async throws -> G", 19, "f(_:c:)"),
        ("Module.Type.call(_: A) -> ()", 20, "Module.Type.call(_:)"), ("Module.Type.call(_: A) -> ()", 16, "Type.call(_:)"),
        ("std::map<int, std::string>::insert(std::string const&)", 45, "std::map<…>::insert(std::string const&)"),
        ("std::map<int, std::string>::insert(std::string const&)", 25, "std::map<…>::insert(…)"),
        ("operator<(very_long_type, very_long_type)", 20, "operat…ry_long_type)"), ("unbalanced<((((", 10, "unb…d<(((("),
        ("closure #1 (Int) -> Int in Type.method(_: Int) -> Bool", 80, "closure #1 (Int) -> Int in Type.method(_: Int) -> Bool"), ("", 0, ""),
    ])
    func namesAreCutByWhatTellsLeast(symbol: String, columns: Int, text: String) { #expect(SymbolText.fitted(symbol, columns: columns) == text) }

    @Test func aDebugPackageIsNamedOnlyWhereItIsCertain() {
        #expect(DebugPackage.name(of: "/usr/lib/x86_64-linux-gnu/libc.so.6") == "libc6-dbg")
        #expect(DebugPackage.name(of: "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2") == "libc6-dbg")
        for path in ["/lib64/libc.so.6", "/srv/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libffi.so.8", "", "/"] {
            #expect(DebugPackage.name(of: path) == nil)
        }
    }

    @Test func theListHasTwoLinesAReport() {
        var damaged = CrashReport(id: "01JDF3T8Q2M4V6X8ZB0D2F4H6M")
        damaged.schema = ""
        let rows = [
            ReportListText.Row(report: Sample.nullPointer(), damage: nil), ReportListText.Row(report: Sample.unraisable(), damage: nil),
            ReportListText.Row(report: damaged, damage: "the file is cut off"),
        ]
        #expect(
            ReportListText(rows).rendered == """
                TIME (UTC)           ID                          WORKER  GROUP  WHAT
                2026-11-24 13:40:12  01JDF3T8Q2M4V6X8ZB0D2F4H6K  2       5e1a   SIGSEGV
                    strlen read address 0x0: a null pointer that Python passed to ctypes.string…
                2026-11-24 13:40:12  01JDF3T8Q2M4V6X8ZB0D2F4H6K  2       -      unraisable
                    Connection.__del__ raised RuntimeError on a thread that does not own the ob…
                ?                    01JDF3T8Q2M4V6X8ZB0D2F4H6M  -       -      damaged
                    cannot be read: the file is cut off

                """)
    }
}
