// What the library brings into a foreign process: a property of the built file.

import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct LibraryTests {
    private func lines(_ program: String, _ arguments: [String]) async throws -> [Substring] {
        let (ending, output, errors) = try await Command.run(
            URL(fileURLWithPath: program), arguments + [PreloadedRun.library.path])
        try #require(ending == .code(0), "\(errors)")
        return output.split(separator: "\n")
    }

    @Test func itNeedsTheCLibraryAlone() async throws {
        let needed = try await lines("/usr/bin/readelf", ["-d"]).filter { $0.contains("(NEEDED)") }.map {
            String($0.split(separator: "[").last ?? "").replacingOccurrences(of: "]", with: "")
        }
        #expect(needed.contains("libc.so.6"))
        #expect(needed.allSatisfy { $0 == "libc.so.6" || $0.hasPrefix("ld-linux") }, "\(needed)")
    }

    /// A name too many may take the place of the program's own function.
    @Test func itDefinesOnlyWhatIsInterposedAndItsOwnNames() async throws {
        let interposed: Set<Substring> = [
            "sigaction", "signal", "bsd_signal", "ssignal", "sysv_signal", "__sysv_signal", "sigprocmask",
            "pthread_sigmask", "sigaltstack", "pthread_create", "dl_iterate_phdr", "exit", "_exit", "_Exit",
            "quick_exit", "pipe2",
        ]
        let names = try await lines("/usr/bin/nm", ["-D", "--defined-only"]).compactMap { line -> Substring? in
            let words = line.split(separator: " ")
            return words.dropLast().last?.uppercased() == words.dropLast().last.map(String.init) ? words.last : nil
        }
        let linkers: Set<Substring> = ["__bss_start", "_edata", "_end", "_init", "_fini"]
        let others = Set(names).subtracting(interposed).subtracting(linkers).filter { !$0.hasPrefix("granite_") }
        // Those by which exceptions are seen at their throw.
        #expect(others.filter { !$0.hasPrefix("_Unwind_") && !$0.hasPrefix("__cxa_") }.isEmpty, "\(others.sorted())")
        #expect(interposed.isSubset(of: names))
    }
}
