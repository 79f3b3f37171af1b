// `granite-crash`: one file a command.

import ArgumentParser

@main
struct GraniteCrash: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "granite-crash", abstract: "Reads why workers died.", subcommands: [CollectCommand.self])
}
