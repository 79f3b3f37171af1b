// Defines how a text fits the terminal it is printed on: its colours and its width.

import ArgumentParser
import Glibc
import GraniteExport

struct TerminalOptions: ParsableArguments {
    enum Color: String, ExpressibleByArgument, CaseIterable { case auto, always, never }

    @Option(help: "Colours: auto is yes on a terminal, unless NO_COLOR is set.")
    var color = Color.auto

    @Option(help: ArgumentHelp("Columns, 40 to 1000. (default: the terminal's, else 80)", valueName: "columns"))
    var width: Int?

    func validate() throws {
        if let width, !(40...1000).contains(width) {
            throw ValidationError("--width is 40 to 1000 columns, for example --width 120.")
        }
    }

    var theme: Theme {
        switch color {
        case .always: return .color
        case .never: return .plain
        case .auto:
            // https://no-color.org: any value but the empty one.
            let refused = getenv("NO_COLOR").map { $0.pointee != 0 } ?? false
            let dumb = getenv("TERM").map { String(cString: $0) == "dumb" } ?? true
            return isatty(STDOUT_FILENO) == 1 && !refused && !dumb ? .color : .plain
        }
    }

    var columns: Int {
        if let width { return width }
        var size = winsize()
        guard isatty(STDOUT_FILENO) == 1, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return 80
        }
        // Wider lines are harder to read, not easier.
        return min(max(Int(size.ws_col), 40), 140)
    }
}
