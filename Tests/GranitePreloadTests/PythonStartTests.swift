// When the interpreter's address is in the page and the hooks are asked for.

import Foundation
import GraniteCrashChannel
import TestSupport
import Testing

/// The system's, with the interpreter in the program itself, and the tests' own, often with libpython.
private let interpreters = [
    "/usr/bin/python3", Foundation.ProcessInfo.processInfo.environment["GRANITE_TEST_PYTHON"] ?? "",
]
.filter { FileManager.default.isExecutableFile(atPath: $0) }

@Suite(.timeLimit(.minutes(5)), .enabled(if: !interpreters.isEmpty))
struct PythonStartTests {
    @Test(arguments: interpreters, [[], ["-I", "-S"], ["-E", "-s", "-B"], ["-X", "dev"]])
    func theInterpreterIsFoundWhateverItsFlags(python: String, flags: [String]) async throws {
        let run = try await PreloadedRun.run(
            URL(fileURLWithPath: python), flags + ["-c", "import sys; print(sys.hexversion)"])
        #expect(run.ending == .code(0))
        #expect(run.errors == "")
        let status = try #require(run.first).page.status()
        #expect(status.pythonRuntime != nil)
        #expect("\(status.pythonVersion)\n" == run.output)
        #expect(status.exitCode == 0)
    }

    @Test(arguments: interpreters)
    func aForkedWorkerKnowsItsInterpreterToo(python: String) async throws {
        let run = try await PreloadedRun.run(
            URL(fileURLWithPath: python),
            [
                "-c",
                """
                import multiprocessing, os
                if __name__ == '__main__':
                    worker = multiprocessing.get_context('fork').Process(target=os._exit, args=(4,))
                    worker.start()
                    worker.join()
                    raise SystemExit(worker.exitcode)
                """,
            ])
        #expect(run.ending == .code(4))
        let worker = try #require(run.forked.first).page.status()
        #expect(worker.pythonRuntime != nil)
        #expect(try worker.pythonRuntime == run.first?.page.status().pythonRuntime)
        #expect(try worker.pythonVersion == run.first?.page.status().pythonVersion)
        #expect(worker.exitCode == 4)
    }

    /// An audit hook of the program's own may object; ours must not lose its exception.
    @Test(arguments: interpreters)
    func exceptionsOfImportsAndHooksArriveAsTheyWere(python: String) async throws {
        let run = try await PreloadedRun.run(
            URL(fileURLWithPath: python),
            [
                "-c",
                """
                import sys
                def refuse(event, arguments):
                    if event == 'import' and arguments[0] == 'colorsys': raise RuntimeError('refused')
                sys.addaudithook(refuse)
                try: import colorsys
                except RuntimeError as error: print(error)
                try: import there_is_no_such_module
                except ImportError as error: print(error.name)
                sys.exit(5)
                """,
            ])
        #expect(run.ending == .code(5))
        #expect(run.errors == "")
        #expect(run.output == "refused\nthere_is_no_such_module\n")
    }

    /// As a web server's plug-in does.
    @Test(.enabled(if: PreloadedRun.compiler != nil), arguments: interpreters)
    func anInterpreterThatIsLoadedLateIsFound(python: String) async throws {
        let script = "import sysconfig as s; print(s.get_config_var('LIBDIR') + '/' + s.get_config_var('INSTSONAME'))"
        let (_, path, _) = try await Command.run(URL(fileURLWithPath: python), ["-c", script])
        let library = path.trimmingCharacters(in: .whitespacesAndNewlines)
        // Where the interpreter is in the program itself there is nothing to load.
        guard library.contains(".so"), FileManager.default.fileExists(atPath: library) else { return }
        let run = try await PreloadedRun.run(
            c: """
                #include <dlfcn.h>
                #include <signal.h>
                #include <stdio.h>
                int main(int count, char **arguments) {
                    signal(SIGPIPE, SIG_IGN);
                    if (dlerror()) return 98;
                    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL);
                    struct sigaction ignore = {.sa_handler = SIG_IGN};
                    sigaction(SIGPIPE, &ignore, 0);
                    ((void (*)(void))dlsym(library, "Py_Initialize"))();
                    ((int (*)(const char *))dlsym(library, "PyRun_SimpleString"))("print(1)");
                    return ((int (*)(void))dlsym(library, "Py_FinalizeEx"))();
                }
                """, [library])
        #expect(run.ending == .code(0))
        #expect(run.output == "1\n")
        #expect(run.errors == "")
        #expect(try run.first?.page.status().pythonRuntime != nil)
    }
}
