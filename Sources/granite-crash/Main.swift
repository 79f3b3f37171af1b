// Defines the program `granite-crash`: what a person types to read why a worker died.

import ArgumentParser

@main struct GraniteCrash: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "granite-crash",
        abstract: "Reads the reports of crashed workers.",
        discussion: """
            granite-crash list          what crashed, the newest first
            granite-crash show last     why the newest one crashed
            granite-crash show 01JDF3   the report whose id begins so
            granite-crash dump 2        what live worker 2 is doing; it goes on
            granite-crash attach 4711   what any process is doing; it goes on
            granite-crash core FILE     why any program died that left a core

            Reports are in --crash-dir, else in GRANITE_CRASH_DIR, else in
            $XDG_STATE_HOME/granite/crashes or ~/.local/state/granite/crashes;
            root's are in /var/lib/granite/crashes.

            Exit codes: 0 done; 1 no such report, or the directory cannot be
            read; 64 wrong usage; 65 damaged report.
            """,
        subcommands: [
            ListCommand.self, ShowCommand.self, DumpCommand.self, CoreCommand.self, AttachCommand.self,
            ResymbolicateCommand.self, SymbolsCommand.self,
            CollectCommand.self,
        ])
}
