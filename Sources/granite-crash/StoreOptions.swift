// Defines the option that all commands share, and how an error of the store becomes a message and an exit code.

import ArgumentParser
import Glibc
import GraniteStore

struct StoreOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Directory of the reports.", valueName: "directory"))
    var crashDir: String?

    /// Runs `body` with the chosen store. An error is told on standard error and ends the program with its code.
    func withStore(_ body: (ReportStore) throws -> Void) throws {
        do {
            try body(ReportStore(directory: directory()))
        } catch let error as StoreError {
            Output.complain(error.description)
            throw Self.exitCode(error.code)
        }
    }

    /// The chosen directory.
    func directory() throws(StoreError) -> CrashDirectory {
        try CrashDirectory.chosen(option: crashDir, environment: environment)
    }

    private static func exitCode(_ code: StoreError.Code) -> ExitCode {
        switch code {
        case .badReference: ExitCode(64)  // EX_USAGE of sysexits.h
        case .damaged: ExitCode(65)  // EX_DATAERR
        case .notFound, .ambiguous, .noDirectory, .unsafeDirectory, .system: ExitCode(1)
        }
    }

    private var environment: [String: String] {
        var values: [String: String] = [:]
        for name in ["GRANITE_CRASH_DIR", "XDG_STATE_HOME", "HOME"] {
            values[name] = getenv(name).map { String(cString: $0) }
        }
        return values
    }
}
