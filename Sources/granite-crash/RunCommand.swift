// Defines `granite-crash run`: any program under the same capture as a server's workers.

import ArgumentParser
import Glibc
import GraniteCrashChannel
import GraniteGuardian
import GraniteLinux
import GraniteLogging
import GraniteStore

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Runs a program, and reports its crashes and those of all that it starts.",
        usage: "granite-crash run [options] [--] COMMAND [ARGUMENTS …]",
        discussion: """
            granite-crash run -- python3 app.py
            granite-crash run -- gunicorn --workers 4 shop:app
            granite-crash run --format json --log-file crashes.log -- ./server

            The program finds what it would find without: terminal, signals,
            standard streams, environment (LD_PRELOAD and GRANITE_… are added),
            and its children are its own. The exit code is the program's; of
            one that died of a signal, run dies of the same. 127: there is no
            such program; 126: it cannot be run, or not under capture, as it
            is statically linked or changes its user.
            """)

    @OptionGroup var store: StoreOptions

    @Option(help: "How much a report holds: \(BacktraceLevel.allCases.map(\.rawValue).joined(separator: ", ")).")
    var level: BacktraceLevel?

    @Flag(help: "Keep local variables of the crashed thread's Python functions.")
    var locals = false

    @Flag(help: "Report exit codes other than 0, and SIGKILL, too.")
    var reportExits = false

    @Option(help: "How news is written: text, or json with an object a line.")
    var format = LogFormat.text

    @Option(help: ArgumentHelp("Write news to this file instead of standard error.", valueName: "file"))
    var logFile: String?

    @Flag(help: "Print whole reports on standard error at the end.")
    var show = false

    @Flag(name: .shortAndLong, help: "Print nothing; reports are stored.")
    var quiet = false

    @Argument(parsing: .captureForPassthrough, help: "The program and its arguments.")
    var command: [String] = []

    func validate() throws {
        // The parser takes an option that it does not know for the program's name.
        if let first = command.first, first.hasPrefix("-"), first != "--" {
            if ["-h", "--help"].contains(first) { throw CleanExit.helpRequest(self) }
            throw ValidationError("Unknown option \(first). A program whose name begins so comes after --.")
        }
        if words.isEmpty {
            throw ValidationError("Name a program to run, for example: granite-crash run -- python3 app.py")
        }
    }

    /// Without the `--` that ends the options.
    private var words: [String] { command.first == "--" ? Array(command.dropFirst()) : command }

    func run() throws {
        let inherited = ProgramRun.prepare()
        let status: ProgramRun.Status
        let news: RunNews
        do {
            let directory = Self.absolute(try store.directory())
            news = RunNews(
                output: quiet && logFile == nil ? nil : try logFile.map { try LogOutput(path: $0) } ?? .standardError,
                format: format, store: directory, namesDirectory: store.crashDir != nil, printsReports: show)
            status = try start(news, crashDirectory: directory.path, inherited: inherited)
        } catch let refusal as ProgramFile.Refusal {
            Output.complain(refusal.sentence)
            throw ExitCode(refusal.exitCode)
        } catch let error as StoreError {
            Output.complain(error.description)
            throw ExitCode(126)
        } catch let error as LoggingError {
            Output.complain(error.description)
            throw ExitCode(126)
        }
        news.conclude()
        ProgramRun.end(as: status)
    }

    private func start(_ news: RunNews, crashDirectory: String, inherited: [Int32]) throws -> ProgramRun.Status {
        let environment = ProgramEnvironment.current()
        let program = try ProgramFile(
            command: words[0], searchPath: environment["PATH"].map { String(decoding: $0, as: UTF8.self) })
        guard let executable = CaptureLibrary.executable() else {
            throw ProgramFile.Refusal(
                sentence: "/proc is not mounted, which tells where granite-crash is.", exitCode: 126)
        }
        let library = try CaptureLibrary.beside(executable)
        let (own, socket) = try startGuardian(executable, crashDirectory, environment)
        let run = ProgramRun(guardian: own, news: news.heed) {
            news.heed(.complaint("The guardian has ended: from here on nothing is captured."))
        }
        return try run.run(
            path: program.path, arguments: Self.lastArguments(words.count),
            environment: environment.capturing(library: library, socket: socket, level: level?.rawValue),
            inherited: inherited)
    }

    /// Its ends of the sockets are closed here: when it ends, that is noticed.
    ///
    /// - Returns: run's end of the connection, and the name of the socket for programs.
    private func startGuardian(_ executable: String, _ crashDirectory: String, _ environment: ProgramEnvironment)
        throws(ProgramFile.Refusal) -> (Descriptor, String)
    {
        guard let socket = GuardianSocket(), let (own, guardian) = Descriptor.messageSockets() else {
            throw ProgramFile.Refusal(sentence: "No socket can be made: \(Self.reason(errno)).", exitCode: 126)
        }
        let error = GuardianProcess.start(
            executable: executable, arguments: guardArguments(crashDirectory),
            environment: environment.withoutCapture(), listener: socket.listener, run: guardian)
        guard error == 0 else {
            throw ProgramFile.Refusal(sentence: "The guardian cannot be started: \(Self.reason(error)).", exitCode: 126)
        }
        return (own, socket.name)
    }

    private func guardArguments(_ crashDirectory: String) -> [String] {
        ["guard", "--crash-dir", crashDirectory, "--level", (level ?? .full).rawValue]
            + (locals ? ["--locals"] : []) + (reportExits ? ["--report-exits"] : [])
    }

    /// The program's arguments as this process got them: they need not be text.
    private static func lastArguments(_ count: Int) -> [[UInt8]] {
        (Int(CommandLine.argc) - count..<Int(CommandLine.argc)).map { index in
            CommandLine.unsafeArgv[index].map { text in
                UnsafeBufferPointer(start: text, count: strlen(text)).map { UInt8(bitPattern: $0) }
            } ?? []
        }
    }

    /// The guardian has another working directory.
    private static func absolute(_ directory: CrashDirectory) -> CrashDirectory {
        guard !directory.path.hasPrefix("/"), let here = getcwd(nil, 0) else { return directory }
        defer { free(here) }
        return CrashDirectory(path: String(cString: here) + "/" + directory.path)
    }

    private static func reason(_ number: Int32) -> String { String(cString: strerror(number)) }
}

extension LogFormat: ExpressibleByArgument {}
