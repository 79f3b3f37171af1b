// Defines `granite-crash core`: the report of a process of which a core dump is left.

import ArgumentParser
import Glibc
import GraniteCollector
import GraniteReport
import GraniteStore
import GraniteSymbols

struct CoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "core",
        abstract: "Makes the report of a core dump, of any program.",
        discussion: """
            granite-crash core core.4711
            coredumpctl dump 4711 | granite-crash core -
            zstdcat core.python3.zst | granite-crash core -

            All threads, native and Python frames in one list. What the core
            leaves out because a file holds it, code above all, is read from
            that file, if it is the build that was loaded.

            So that the kernel pipes every core here (core(5)); root only:

            sysctl -w 'kernel.core_pattern=|/usr/bin/granite-crash core
              --crash-dir /var/lib/granite/crashes --pid %P --signal %s
              --quiet -'

            in one line. A core from a pipe lies in the crash directory while
            it is read, in a file without a name.

            Exit codes: 0 done; 1 the file or the directory cannot be used;
            64 wrong usage; 65 no core dump that can be read.
            """)

    @Argument(help: ArgumentHelp("The core dump; - reads standard input.", valueName: "file"))
    var file: String

    @Option(help: ArgumentHelp("Pid of the process. (default: what the core says)", valueName: "pid"))
    var pid: Int32?

    @Option(help: ArgumentHelp("Number of its signal. (default: what the core says)", valueName: "number"))
    var signal: Int32?

    @Option(help: ArgumentHelp("Largest core that is read from standard input.", valueName: "MiB"))
    var maxSize = 16_384

    @OptionGroup var store: StoreOptions
    @OptionGroup var output: ReportOutput

    func validate() throws {
        if let pid, pid <= 0 { throw ValidationError("--pid is the number of a process, for example --pid 4711.") }
        if let signal, !(1...64).contains(signal) {
            throw ValidationError("--signal is the number of a signal, for example --signal 11.")
        }
        if !(1...(1 << 30)).contains(maxSize) {
            throw ValidationError("--max-size is 1 MiB or more, for example --max-size 4096.")
        }
    }

    /// The kernel starts a core_pattern's program with standard input alone (core(5)): a report's file would get the number of standard
    /// output or error, and the text for people with it.
    private static func openStandardStreams() {
        while true {
            let number = open("/dev/null", O_RDWR | O_CLOEXEC)
            guard number >= 0 else { return }
            if number > STDERR_FILENO {
                close(number)
                return
            }
        }
    }

    func run() throws {
        Self.openStandardStreams()
        try store.withStore { store in
            try store.checkWritable()
            let report: CrashReport
            do throws(CollectorError) {
                let witness = file == "-" ? pid.flatMap(CoreWitness.init) : nil
                let core =
                    file == "-"
                    ? try CoreSpool.fromStandardInput(directory: store.directory.path, maxBytes: maxSize << 20)
                    : try CoreFile(path: file)
                report = try CoreReport(core, pid: pid, signal: signal, witness: witness).make(
                    symbolizer: .beside(store))
            } catch {
                Output.complain(error.description)
                throw ExitCode(error.code == .unusableCore ? 65 : 1)
            }
            try output.publish(report, in: store)
        }
    }
}
