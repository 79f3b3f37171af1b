// Defines `granite-crash symbols prune`: throws away what the symbol store need not keep.

import ArgumentParser
import Glibc
import GraniteReport
import GraniteStore
import GraniteSymbols

struct SymbolsPruneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune",
        abstract: "Removes files by age, by size of the store, or because no stored report names their build.",
        discussion: """
            granite-crash symbols prune --older-than 90d --dry-run
            granite-crash symbols prune --max-size 20G
            granite-crash symbols prune --not-in-use --crash-dir /var/lib/granite/crashes
            """)

    @OptionGroup var options: SymbolStoreOptions
    @OptionGroup var reports: StoreOptions

    @Option(help: ArgumentHelp("Remove what was added longer ago: 90d, 12h, 30m.", valueName: "time"))
    var olderThan: Span?

    @Option(help: ArgumentHelp("Remove the oldest until all take no more than this: 500M, 20G.", valueName: "size"))
    var maxSize: ByteCount?

    @Flag(help: "Remove the builds that no report in --crash-dir names.")
    var notInUse = false

    @Flag(help: "Say what would be removed, and remove nothing.")
    var dryRun = false

    func validate() throws {
        if olderThan == nil, maxSize == nil, !notInUse {
            throw ValidationError("Say what may go: --older-than 90d, --max-size 20G or --not-in-use.")
        }
    }

    func run() throws {
        let store = options.chosen
        var used: Set<[UInt8]>?
        if notInUse { try reports.withStore { used = try Self.builds(namedIn: $0) } }
        let rule = SymbolRetention(maxAgeSeconds: olderThan?.seconds, maxTotalBytes: maxSize?.bytes, used: used)
        var bytes: Int64 = 0
        var count = 0
        var failed = false
        for entry in rule.removed(of: store.entries(), now: time(nil)) {
            if !dryRun, !store.remove(entry) {
                Output.complain("Cannot remove \(entry.path): \(String(cString: strerror(errno))).")
                failed = true
                continue
            }
            count += 1
            bytes &+= entry.bytes
            Output.write("\(dryRun ? "would remove" : "removed") \(entry.path)\n")
        }
        Output.write(
            "\(count) file\(count == 1 ? "" : "s"), \(Quantity.bytes(UInt64(max(0, bytes))))\(dryRun ? ", nothing removed" : "")\n"
        )
        if failed { throw ExitCode(1) }
    }

    /// A report that cannot be read stops the command: it might name what would be removed.
    private static func builds(namedIn store: ReportStore) throws -> Set<[UInt8]> {
        var builds: Set<[UInt8]> = []
        for listing in try store.list() {
            for module in try store.load(listing.id).report.modules ?? [] {
                if let id = module.buildID.flatMap(BuildID.bytes) { builds.insert(id) }
            }
        }
        return builds
    }

    /// `90d`, `12h`, `30m`, `10s`.
    struct Span: ExpressibleByArgument {
        let seconds: Int

        init?(argument: String) {
            let units: [Character: Int] = ["d": 86400, "h": 3600, "m": 60, "s": 1]
            guard let unit = argument.last.flatMap({ units[$0] }), let number = Int(argument.dropLast()), number >= 0,
                case let (seconds, overflow) = number.multipliedReportingOverflow(by: unit), !overflow
            else { return nil }
            self.seconds = seconds
        }
    }

    /// `500M`, `20G`, `100K`, `4096`: powers of 1024.
    struct ByteCount: ExpressibleByArgument {
        let bytes: Int64

        init?(argument: String) {
            let units: [Character: Int64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
            let unit = argument.last.flatMap { units[$0] }
            guard let number = Int64(unit == nil ? argument[...] : argument.dropLast()), number >= 0,
                case let (bytes, overflow) = number.multipliedReportingOverflow(by: unit ?? 1), !overflow
            else { return nil }
            self.bytes = bytes
        }
    }
}
