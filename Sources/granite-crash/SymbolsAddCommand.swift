// Defines `granite-crash symbols add`: files and folders into the symbol store.

import ArgumentParser
import GraniteSymbols

struct SymbolsAddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Copies what has symbols into the store, under its build-id.",
        discussion: """
            granite-crash symbols add .build/release/granite
            granite-crash symbols add /usr/lib/debug dist/

            Takes executables, shared objects and debug files, and folders with
            all below them. A file that the store has as much of is left alone.

            Exit code 1 if a file that was named could not be taken.
            """)

    @Argument(help: ArgumentHelp("Files and folders.", valueName: "path"))
    var paths: [String]

    @OptionGroup var options: SymbolStoreOptions

    func run() throws {
        let store = options.chosen
        var failed = false
        for path in paths {
            guard SymbolFileWalk.isFolder(path) else {
                if !add(path, to: store, isNamed: true) { failed = true }
                continue
            }
            var found = 0
            let isWhole = SymbolFileWalk.forEachObject(below: path) { file in
                if add(file, to: store, isNamed: false) { found += 1 }
            }
            if found == 0 { Output.complain("\(path): no file with a build-id and symbols.") }
            if !isWhole { Output.complain("\(path): too many files; name a smaller folder.") }
            failed = failed || !isWhole
        }
        if failed { throw ExitCode(1) }
    }

    /// In a folder it is no failure that some objects have no symbols, but it is if one cannot be read or stored.
    private func add(_ path: String, to store: SymbolStore, isNamed: Bool) -> Bool {
        do throws(SymbolsError) {
            switch try store.add(path) {
            case .added(let target, let contents): Output.write("added  \(path) → \(target) (\(contents.words))\n")
            case .known(let target): Output.write("known  \(path) = \(target)\n")
            }
            return true
        } catch {
            switch error.code {
            case .noSymbols, .notELF: if isNamed { Output.complain(error.description) }
            case .noBuildID, .cannotOpen, .cannotStore, .malformed, .notRegularFile, .tooLarge, .otherBuild:
                Output.complain(error.description)
            }
            return false
        }
    }
}
