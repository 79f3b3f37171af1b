// A program that ends in one of many named ways. Tests run it to see each end captured; see `Cases`.

import CCrashProbe
import Glibc
import GraniteCapture

@main
struct Main {
    static func main() {
        let arguments = Arguments(CommandLine.arguments)
        guard let name = arguments.name, let end = Cases.find(name) else {
            print("Usage: CrashProbe <case> [--page-fd N --memory-socket N] [--level off|short|full] [--argument TEXT]")
            print((Array(Cases.all.keys) + Array(HostileCases.all.keys)).sorted().joined(separator: "\n"))
            exit(64)
        }
        do {
            try Capture.install(arguments.options)
        } catch {
            _ = "\(error)\n".withCString { write(2, $0, strlen($0)) }
            exit(70)
        }
        Capture.breadcrumb("probe", "about to run \(name)")
        Capture.setReady()
        exit(level1(end, arguments))
    }
}

/// The command line. Values that are not understood are left at their defaults.
struct Arguments {
    var name: String?
    var options = Capture.Options()
    var argument = ""

    init(_ words: [String]) {
        var rest = words.dropFirst()
        while let word = rest.popFirst() {
            switch word {
            case "--page-fd": options.pageDescriptor = rest.popFirst().flatMap { Int32($0) }
            case "--memory-socket": options.memorySocket = rest.popFirst().flatMap { Int32($0) }
            case "--level": options.level = rest.popFirst().flatMap { BacktraceLevel(parsing: $0) } ?? .short
            case "--serve-deadline-ms":
                options.serveDeadline = .milliseconds(rest.popFirst().flatMap { Int($0) } ?? 1000)
            case "--park-deadline-ms": options.parkDeadline = .milliseconds(rest.popFirst().flatMap { Int($0) } ?? 50)
            case "--argument": argument = rest.popFirst() ?? ""
            default: name = word
            }
        }
    }
}

// Three Swift frames that every crash on the first thread has below it. The additions keep the calls from becoming
// jumps.

@inline(never)
func level1(_ end: (Arguments) -> Int32, _ arguments: Arguments) -> Int32 {
    let status = level2(end, arguments)
    return status &+ (arguments.name == nil ? 1 : 0)
}

@inline(never)
func level2(_ end: (Arguments) -> Int32, _ arguments: Arguments) -> Int32 {
    let status = level3(end, arguments)
    return status &+ (arguments.name == nil ? 1 : 0)
}

@inline(never)
func level3(_ end: (Arguments) -> Int32, _ arguments: Arguments) -> Int32 {
    let status = end(arguments)
    return status &+ (arguments.name == nil ? 1 : 0)
}
