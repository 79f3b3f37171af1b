// Defines `granite-crash symbols verify`: whether each file of the symbol store is what its name says, and whole.

import ArgumentParser
import GraniteSymbols

struct SymbolsVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract:
            "Checks that each file has the build-id that it is filed under, and that its debug information can be read.",
        discussion: "Exit code 1 if a file is damaged; each is named on standard error.")

    @OptionGroup var options: SymbolStoreOptions

    func run() throws {
        let store = options.chosen
        let entries = store.entries()
        var damaged = 0
        for entry in entries {
            let problems = store.verify(entry)
            problems.forEach { Output.complain($0) }
            if !problems.isEmpty { damaged += 1 }
        }
        Output.write("\(entries.count) file\(entries.count == 1 ? "" : "s") checked, \(damaged) damaged\n")
        if damaged > 0 { throw ExitCode(1) }
    }
}
