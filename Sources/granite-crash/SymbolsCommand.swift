// Defines `granite-crash symbols`: the group of commands on a symbol store, and the option that they share.

import ArgumentParser
import GraniteSymbols

struct SymbolsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "symbols",
        abstract: "Keeps debug files by build-id, for reports of stripped programs.",
        discussion: """
            granite-crash symbols add build/ worker.debug
            granite-crash symbols list
            granite-crash symbols verify
            granite-crash symbols prune --older-than 90d --max-size 20G

            The store is --store, else the first folder of GRANITE_SYMBOLS, else
            symbols/ in the working directory if that is there, else
            $XDG_DATA_HOME/granite/symbols or ~/.local/share/granite/symbols.
            """,
        subcommands: [
            SymbolsAddCommand.self, SymbolsListCommand.self, SymbolsVerifyCommand.self, SymbolsPruneCommand.self,
        ])
}

struct SymbolStoreOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The symbol store.", valueName: "directory"))
    var store: String?

    var chosen: SymbolStore { .chosen(option: store) }
}
