// What names and lines cost: the symbolizer beside eu-addr2line -i, on the same addresses of one object with debug information.
//
//   SymbolBenchmark FILE [ROUNDS]        compares; prints medians and ratios
//   SymbolBenchmark --answer FILE FOLDER PC…   answers like eu-addr2line -i -f, so that whole processes can be compared; FOLDER has
//                                              indexes, or is - for none

import Foundation
import GraniteSymbols

private let addressCount = 1000
private let bias: UInt64 = 0x7f00_0000_0000

private func module(_ path: String) -> ModuleImage {
    ModuleImage(path: path, start: bias, end: bias + (1 << 40), bias: bias, buildID: ELFImage.buildID(path: path))
}

/// Own debug files only: eu-addr2line looks for none in a file that has its own.
private func makeOptions(_ indexes: SymbolIndexFolder? = nil) -> Symbolizer.Options {
    .init(symbolStores: [], systemDirectories: [], indexFolder: indexes)
}

private func hex(_ address: UInt64) -> String { "0x" + String(address, radix: 16) }

private func answer(_ path: String, _ folder: String, _ addresses: [UInt64]) {
    let symbolizer = Symbolizer(options: makeOptions(folder == "-" ? nil : SymbolIndexFolder(path: folder)))
    let module = module(path)
    var text = ""
    for address in addresses {
        for frame in symbolizer.symbolize(address: bias &+ address, isReturnAddress: false, in: module) {
            text += "\(frame.symbol)\n\(frame.file ?? "??"):\(frame.line ?? 0):\(frame.column ?? 0)\n"
        }
    }
    print(text, terminator: "")
}

/// Addresses spread over the executable segments, the same in each run; `offset` selects another set.
private func addresses(in path: String, offset: UInt64) -> [UInt64] {
    let code = ELFImage(path: path)?.loadSegments.filter { $0.flags & 1 != 0 }.max { $0.memorySize < $1.memorySize }
    guard let code else { return [] }
    // An odd step scatters them, so that neighbours in the list are not neighbours in the file.
    return (0..<UInt64(addressCount)).map { code.address + ($0 &* 0x9e37_79b9_7f4a_7c15 &+ offset) % code.memorySize }
}

private func milliseconds(_ body: () throws -> Void) rethrows -> Double {
    let time = try ContinuousClock().measure(body)
    return Double(time.components.seconds) * 1000 + Double(time.components.attoseconds) / 1e15
}

private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

private func run(_ program: String, _ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.standardOutput = FileHandle(forWritingAtPath: "/dev/null")
    try process.run()
    process.waitUntilExit()
    // eu-addr2line ends with 1 where an address has no name.
    guard process.terminationReason == .exit, process.terminationStatus <= 1 else {
        print("\(program) failed: the comparison means nothing.")
        exit(1)
    }
}

private func compare(_ path: String, rounds: Int) throws {
    let first = addresses(in: path, offset: 0)
    let second = addresses(in: path, offset: 0x1234_5678_9abc)
    let module = module(path)
    var times: [String: [Double]] = [:]
    var frames = 0
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("granite-indexes-\(getpid())")
    defer { try? FileManager.default.removeItem(at: folder) }
    let indexes = SymbolIndexFolder(path: folder.path)
    for _ in 0..<rounds {
        try? FileManager.default.removeItem(at: folder)
        var isMade = false
        times["index made", default: []].append(
            milliseconds { isMade = indexes.makeIndex(of: module, options: makeOptions()) })
        guard isMade else {
            print("No index of \(path) could be made: it has no build-id or no debug information.")
            exit(1)
        }
        let symbolizer = Symbolizer(options: makeOptions())
        func ask(_ addresses: [UInt64], _ symbolizer: Symbolizer) {
            for address in addresses {
                frames += symbolizer.symbolize(address: bias &+ address, isReturnAddress: false, in: module).count
            }
        }
        frames = 0
        times["cold", default: []].append(milliseconds { ask(first, symbolizer) })
        times["warm", default: []].append(milliseconds { ask(second, symbolizer) })
        times["indexed", default: []].append(
            milliseconds { ask(first, Symbolizer(options: makeOptions(indexes))) })
        for (name, folder) in [("process", "-"), ("indexed process", folder.path)] {
            times[name, default: []].append(
                try milliseconds { try run("/proc/self/exe".resolved, ["--answer", path, folder] + first.map(hex)) })
        }
        times["eu-addr2line", default: []].append(
            try milliseconds { try run("/usr/bin/eu-addr2line", ["-i", "-f", "-e", path] + first.map(hex)) })
    }
    guard frames > 0 else {
        print("No address of \(path) has a name: the comparison means nothing.")
        exit(1)
    }
    let peer = median(times["eu-addr2line"] ?? [0])
    print(
        "\(path): \(addressCount) addresses, \(frames / 3) frames, median of \(rounds) rounds, files in the page cache")
    for (name, meaning) in [
        ("cold", "a new symbolizer"), ("warm", "the same, other addresses"),
        ("indexed", "a new symbolizer, with an index on disk"), ("process", "a new process, with its output"),
        ("indexed process", "a new process with an index on disk"),
        ("index made", "once a build, off the crash's path"),
        ("eu-addr2line", "-i -f, a new process"),
    ] {
        let time = median(times[name] ?? [0])
        print(
            "  \(name.padding(toLength: 16, withPad: " ", startingAt: 0)) \(String(format: "%9.2f ms %8.1f times", time, peer / time))  \(meaning)"
        )
    }
}

extension String {
    fileprivate var resolved: String { URL(fileURLWithPath: self).resolvingSymlinksInPath().path }
}

private let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.first == "--answer", arguments.count > 3 {
    answer(arguments[1], arguments[2], arguments.dropFirst(3).compactMap { UInt64($0.dropFirst(2), radix: 16) })
} else if let path = arguments.first?.resolved {
    try compare(path, rounds: arguments.dropFirst().first.flatMap(Int.init).map { max(1, $0) } ?? 7)
} else {
    print("Usage: SymbolBenchmark FILE [ROUNDS]")
    exit(2)
}
