// The `granite` program: its name, what it can do, where it starts.

import ArgumentParser

/// `granite`. Synchronous on purpose: a worker is Python's main thread and must be the process's too, so no pool may run it.
@main
struct Granite: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "granite",
        abstract: "Serves WSGI applications, and tells exactly why a worker crashed.",
        discussion: """
            granite serve app:app                       the Flask or Django app in ./app.py, on http://127.0.0.1:8000
            granite serve shop.wsgi --host 0.0.0.0      on all addresses
            granite-crash show last                     why the last worker died
            """,
        version: GraniteVersion.current,
        subcommands: [ServeCommand.self, WorkerCommand.self])
}

/// The version of this build.
enum GraniteVersion {
    static let current = "0.1.0"
}
