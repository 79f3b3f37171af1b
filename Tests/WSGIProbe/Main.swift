// Starts a Python in this process, loads an application, and sends it what a script says: an interpreter starts only
// once per process, so each test runs one probe.
//
//   WSGIProbe locate [python]
//   WSGIProbe serve [--python P] [--directory D] [--factory] [--repeat N] --script FILE TARGET
//   WSGIProbe measure [--python P] [--directory D] [--count N] TARGET

import Foundation
import GraniteExchange
import GraniteWSGI

@main
enum Probe {
    static func main() {
        do {
            try run(Array(CommandLine.arguments.dropFirst()))
        } catch let error as WSGIError {
            say(.failure(description: error.description, traceback: error.traceback))
            exit(3)
        } catch {
            say(.failure(description: "\(error)", traceback: nil))
            exit(4)
        }
    }

    static func run(_ arguments: [String]) throws {
        var options: [String: String] = [:]
        var names: [String] = []
        var rest = arguments.dropFirst()
        while let word = rest.popFirst() {
            if word == "--factory" {
                options[word] = ""
            } else if word.hasPrefix("--") {
                options[word] = rest.popFirst()
            } else {
                names.append(word)
            }
        }
        let environment = Foundation.ProcessInfo.processInfo.environment
        var python = try PythonInstallation.locate(
            python: options["--python"] ?? (arguments.first == "locate" ? names.first : nil), environment: environment)
        if arguments.first == "locate" {
            return say(
                .installation(
                    executable: python.executable, prefix: python.prefix, version: python.version,
                    library: python.library))
        }
        if let version = options["--claimed-version"] { python.version = version }
        let directory = options["--directory"] ?? FileManager.default.currentDirectoryPath
        let target = try ApplicationTarget(names.first ?? "", factory: options["--factory"] != nil)
        let interpreter = try PythonInterpreter.start(
            python, arguments: ["granite", names.first ?? ""], directory: directory)
        let application = try WSGIApplication(
            target, configuration: WSGIConfiguration(serverName: "127.0.0.1", serverPort: 8000, requestIDPrefix: "w1-"),
            interpreter: interpreter, directory: directory)
        if arguments.first == "measure" {
            measure(application, names.first ?? "", count: Int(options["--count"] ?? "") ?? 100_000)
        } else {
            let script = try JSONDecoder().decode(
                [ScriptedRequest].self,
                from: Data(contentsOf: URL(fileURLWithPath: options["--script"] ?? "/dev/stdin")))
            serve(script, repeats: Int(options["--repeat"] ?? "") ?? 1, application, interpreter)
        }
        interpreter.finalize()
    }

    /// Sends the script's requests; all rounds but the last are silent.
    static func serve(
        _ script: [ScriptedRequest], repeats: Int, _ application: WSGIApplication, _ interpreter: PythonInterpreter
    ) {
        let main = application.makeThread()
        var others: [Int: ProbeThread] = [:]
        var number: UInt64 = 0
        for round in 0..<repeats {
            if repeats > 1 && (round == repeats / 2 || round == repeats - 1) { say(.residentBytes(residentBytes())) }
            for request in script {
                number += 1
                let exchange = ScriptedExchange(request, number: number) { isGILFree(interpreter) }
                if request.thread == 0 {
                    main.enter()
                    main.respond(to: exchange)
                    main.leave()
                } else {
                    let thread = others[request.thread] ?? ProbeThread(application)
                    others[request.thread] = thread
                    thread.serve(exchange)
                }
                if round == repeats - 1 { say(.answer(exchange.answer)) }
            }
        }
        for thread in others.values { thread.serve(nil) }
        main.close()
    }

    /// Whether another thread gets the GIL within a while; a thread that is too late finds nobody waiting.
    static func isGILFree(_ interpreter: PythonInterpreter) -> Bool {
        let taken = DispatchSemaphore(value: 0)
        Thread { interpreter.withGIL { _ = taken.signal() } }.start()
        return taken.wait(timeout: .now() + 2) == .success
    }

    static func measure(_ application: WSGIApplication, _ name: String, count: Int) {
        let thread = application.makeThread()
        let script = ScriptedExchange(
            ScriptedRequest { $0.headers = [["Host", "127.0.0.1:8000"], ["User-Agent", "wrk"], ["Accept", "*/*"]] },
            number: 0x1234
        ) { true }
        let exchange = NullExchange(script.request)
        func batch(_ count: Int) -> Double {
            var start = timespec()
            var end = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start)
            for _ in 0..<(count / 50) {
                thread.enter()
                for _ in 0..<50 { thread.respond(to: exchange) }
                thread.leave()
            }
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end)
            let elapsed = Double(end.tv_sec - start.tv_sec) * 1e9 + Double(end.tv_nsec - start.tv_nsec)
            return elapsed / Double(count / 50 * 50)
        }
        _ = batch(count / 10)
        let best = (0..<5).map { _ in batch(count / 5) }.min() ?? 0
        say(.measurement(name: name, nanosecondsPerRequest: best))
        thread.close()
        withExtendedLifetime(script) {}
    }

    static func residentBytes() -> Int {
        let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ")
            .dropFirst().first
        return (pages.flatMap { Int($0) } ?? 0) * Int(getpagesize())
    }

    /// One line, in one write: the application prints too.
    static func say(_ line: ProbeLine) {
        guard var data = try? JSONEncoder().encode(line) else { return }
        data.append(UInt8(ascii: "\n"))
        FileHandle.standardOutput.write(data)
    }
}
