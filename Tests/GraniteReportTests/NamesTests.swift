// Ids, times, signal names, paths, and what may reach a terminal.

import Foundation
import GraniteReport
import Testing

struct NamesTests {
    @Test func ulidsAreValidUniqueAndSortByTime() {
        let ids = (0..<1000).map { _ in ULID.make() }
        #expect(Set(ids).count == ids.count)
        #expect(ids.allSatisfy(ULID.isValid))
        #expect(
            ULID.make(milliseconds: 1, randomHigh: .max, randomLow: .max)
                < ULID.make(milliseconds: 2, randomHigh: 0, randomLow: 0))
    }

    @Test func ulidsAreWhatTheSpecificationSays() {
        // The specification's own example of a time, and the greatest id.
        #expect(ULID.make(milliseconds: 1_469_918_176_385, randomHigh: 0, randomLow: 0) == "01ARYZ6S410000000000000000")
        #expect(
            ULID.make(milliseconds: (1 << 48) - 1, randomHigh: .max, randomLow: .max) == "7ZZZZZZZZZZZZZZZZZZZZZZZZZ")
        #expect(ULID.make(milliseconds: 0, randomHigh: 0, randomLow: 32) == "00000000000000000000000010")
    }

    @Test(arguments: [
        "", "../etc/passwd", "01ARYZ6S41", "81ARYZ6S410000000000000000", "01aryz6s410000000000000000",
        "01ARYZ6S41000000000000000I",
    ])
    func whatIsNoULIDIsRefused(text: String) { #expect(!ULID.isValid(text)) }

    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_827_696_789_000_000, "2000-02-29T12:34:56.789Z"),
            (1_795_527_612_345_678_901, "2026-11-24T13:40:12.345Z"),
            (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999Z"),
            (UInt64.max, "2554-07-21T23:34:33.709Z"),
        ] as [(UInt64, String)])
    func timesAreRFC3339(nanoseconds: UInt64, text: String) {
        #expect(Timestamp.rfc3339(nanoseconds: nanoseconds) == text)
        #expect(Timestamp.nanoseconds(of: text) == nanoseconds / 1_000_000 * 1_000_000)
    }

    @Test(arguments: [
        "", "2026-11-24", "2026-13-24T13:40:12Z", "2026-11-24T13:40:12+01:00", "1969-11-24T13:40:12Z",
        "2026-11-24T13:40:12.Z", "2026-11-24T1x:40:12Z",
    ])
    func whatIsNoTimeIsRefused(text: String) { #expect(Timestamp.nanoseconds(of: text) == nil) }

    @Test func signalsAndCodesHaveTheirNames() {
        #expect(
            [4, 5, 6, 7, 8, 9, 11, 31, 34, 37, 64].map(SignalName.name) == [
                "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGSEGV", "SIGSYS", "SIGRTMIN",
                "SIGRTMIN+3", "SIGRTMIN+30",
            ])
        #expect(SignalName.name(4_000) == "signal 4000")
        #expect(SignalName.codeName(signal: 11, code: 1) == "SEGV_MAPERR")
        #expect(SignalName.codeName(signal: 7, code: 2) == "BUS_ADRERR")
        #expect(SignalName.codeName(signal: 4, code: 2) == "ILL_ILLOPN")
        #expect(SignalName.codeName(signal: 8, code: 1) == "FPE_INTDIV")
        #expect(SignalName.codeName(signal: 31, code: 1) == "SYS_SECCOMP")
        #expect(SignalName.codeName(signal: 11, code: 0) == "SI_USER")
        #expect(SignalName.codeName(signal: 5, code: 128) == "SI_KERNEL")
        #expect(SignalName.codeName(signal: 6, code: -6) == "SI_TKILL")
        #expect(SignalName.codeName(signal: 11, code: .min) == nil)
        #expect(SignalName.codeName(signal: 99, code: 3) == nil)
    }

    /// The table against glibc's own, which it has since 2.32 and shows only to C with _GNU_SOURCE.
    @Test func signalNamesAreTheSystems() throws {
        let address = try #require(dlsym(UnsafeMutableRawPointer(bitPattern: 0), "sigabbrev_np"))
        let abbreviation = unsafeBitCast(address, to: (@convention(c) (Int32) -> UnsafePointer<CChar>?).self)
        for number in Int32(1)...31 {
            let name = abbreviation(number).map { "SIG" + String(cString: $0) }
            #expect(name == (number == 29 ? "SIGPOLL" : SignalName.name(Int(number))))
        }
    }

    @Test(arguments: [
        ("/srv/shop/views/cart.py", "views/cart.py"), ("/srv/shopping/app.py", "/srv/shopping/app.py"),
        ("/srv/shop/venv/lib/python3.11/site-packages/flask/app.py", "flask/app.py"),
        ("/usr/lib/python3.11/ctypes/__init__.py", "ctypes/__init__.py"),
        ("/usr/lib/python3/dist-packages/yaml/reader.py", "yaml/reader.py"),
        ("/usr/src/python3.11-3.11.2/Modules/_ctypes/cfield.c", "_ctypes/cfield.c"),
        ("../sysdeps/x86_64/strlen.S", "sysdeps/x86_64/strlen.S"),
        ("/build/granite/Sources/GraniteWSGI/WSGIApplication.swift", "GraniteWSGI/WSGIApplication.swift"),
        ("/root/.cargo/registry/src/index.crates.io-6f17d22bba15001f/serde-1.0.1/src/lib.rs", "serde-1.0.1/src/lib.rs"),
        ("/rustc/90b35a6239/library/core/src/panicking.rs", "library/core/src/panicking.rs"),
        ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap>"),
        ("", ""), ("/", "/"), ("/usr/lib/python3.11", "/usr/lib/python3.11"),
    ])
    func pathsLoseWhatOnlySaysWhereThingsAreInstalled(path: String, short: String) {
        #expect(SourcePath.short(path, relativeTo: "/srv/shop") == short)
    }

    @Test(arguments: [
        ("__strlen_evex", "strlen"), ("__memmove_avx_unaligned_erms", "memmove"), ("__GI_strlen", "strlen"),
        ("abort", "abort"),
        ("__pthread_kill_implementation", "__pthread_kill_implementation"), ("_", "_"), ("", ""),
    ])
    func libcNamesLoseTheProcessorsVariant(symbol: String, name: String) {
        #expect(CanonicalSymbol.name(symbol, module: "/lib/x86_64-linux-gnu/libc.so.6") == name)
    }

    @Test(arguments: [
        ("f.constprop.0", "f"), ("f.isra.0.cold", "f"), ("f@@LIB_1.2", "f"), ("f+0x1a", "f"), (".cold", ".cold"),
        ("granian::wsgi::call::h0123456789abcdef", "granian::wsgi::call"), ("operator+(A, B)", "operator+(A, B)"),
        ("std::vector<int, a.part.0>::f(int) [clone .cold]", "std::vector<int, a.part.0>::f(int)"),
    ])
    func namesLoseWhatTheCompilerAdds(symbol: String, name: String) { #expect(CanonicalSymbol.name(symbol) == name) }

    @Test func noTextDrivesATerminal() {
        #expect(TerminalText.neutralised("plain Grüße 日本 👍") == "plain Grüße 日本 👍")
        #expect(TerminalText.neutralised("\u{1B}[2J\u{1B}]0;owned\u{07}\r\n\tx\u{7F}") == "␛[2J␛]0;owned␇␍␊ x␡")
        #expect(
            TerminalText.neutralised("\u{9B}31m\u{202E}gpj.exe\u{200B}\u{2028}")
                == #"\u{9B}31m\u{202E}gpj.exe\u{200B}\u{2028}"#)
    }

    @Test func textIsCutByColumnsAndNotByCharacters() {
        #expect(TerminalText.columns("日本x") == 5)
        #expect(TerminalText.cutEnd("日本語", columns: 4) == "日…")
        #expect(TerminalText.cutMiddle("/very/long/path/app.py", columns: 12) == "/ve…h/app.py")
        #expect(TerminalText.cutMiddle("short", columns: 5) == "short")
        #expect(TerminalText.cutMiddle("short", columns: 0) == "")
    }
}
