// Defines `granite-crash symbols list`: what the symbol store holds.

import ArgumentParser
import GraniteReport
import GraniteSymbols

struct SymbolsListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the store's files: build-id, size, what each has, and where it came from."
    )

    @OptionGroup var options: SymbolStoreOptions

    func run() throws {
        let store = options.chosen
        let entries = store.entries()
        guard !entries.isEmpty else {
            Output.complain("There are no symbols in \(store.directory); `granite-crash symbols add` puts some there.")
            throw ExitCode(1)
        }
        let rows = entries.map { entry in
            [
                BuildID.text(entry.buildID), Quantity.bytes(UInt64(max(0, entry.bytes))),
                store.contents(of: entry).words, TerminalText.neutralised(entry.origin ?? ""),
            ]
        }
        let widths = (0..<3).map { column in rows.map { $0[column].count }.max() ?? 0 }
        for row in rows {
            let size = String(repeating: " ", count: widths[1] - row[1].count) + row[1]
            let texts = [row[0], row[2]].enumerated().map { index, text in
                text + String(repeating: " ", count: widths[index * 2] - text.count)
            }
            var line = "\(texts[0])  \(size)  \(texts[1])  \(row[3])"
            while line.last == " " { line.removeLast() }
            Output.write(line + "\n")
        }
        let total = entries.reduce(Int64(0)) { $0 &+ $1.bytes }
        Output.write(
            "\(entries.count) file\(entries.count == 1 ? "" : "s"), \(Quantity.bytes(UInt64(max(0, total))))\n")
    }
}
