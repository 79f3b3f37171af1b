// Finding Python, honouring its environment, loading the application, and what is said when that fails.

import Foundation
import GraniteWSGI
import TestSupport
import Testing
import WSGIProbe

@Suite(.timeLimit(.minutes(3)))
struct StartTests {
    @Test(arguments: Python.installed)
    func virtualEnvironmentIsHonoured(_ python: Python) async throws {
        let folder = try TemporaryDirectory()
        let environment = folder.file("venv")
        let made = try await Command.run(
            URL(fileURLWithPath: python.path), ["-m", "venv", "--without-pip", environment.path],
            environment: ["VIRTUAL_ENV": nil])
        try #require(made.ending == .code(0), "\(made.errors)")
        let site = environment.appendingPathComponent("lib/python\(python.version)/site-packages")
        try folder.write(
            "marker = 'from the environment'", to: "venv/lib/python\(python.version)/site-packages/only_here.py")
        try folder.write("import only_here\nfrom wsgi_cases import app", to: "app/entry.py")
        try FileManager.default.copyItem(
            at: Probe.fixtures.appendingPathComponent("wsgi_cases.py"), to: folder.file("app/wsgi_cases.py"))
        let run = try await Probe.run(
            ["serve", "--directory", folder.file("app").path, "entry"], [ScriptedRequest("/where")],
            environment: ["VIRTUAL_ENV": environment.path, "LC_ALL": "C", "PYTHONUTF8": nil], directory: folder.url)
        #expect(run.ending == .code(0))
        let said = try #require(run.answers.first?.value(as: [String: Any].self))
        #expect(said["prefix"] as? String == environment.path)
        #expect(said["executable"] as? String == environment.path + "/bin/python3")
        #expect((said["version"] as? String)?.hasPrefix(python.version + ".") == true)
        #expect(said["argv"] as? [String] == ["granite", "entry"])
        #expect(said["first"] as? String == folder.file("app").path)
        #expect(said["site"] as? [String] == [site.path])
        #expect(said["utf8"] as? Int == 1)  // as `python` itself in the C locale (PEP 540)
    }

    @Test(arguments: [
        (
            "absent",
            "there is no module absent in DIR, nor on sys.path. Start in the application's folder, or give it with --chdir",
            false
        ),
        (
            "package.absent:app",
            "there is no module package.absent in DIR, nor on sys.path. Start in the application's folder, or give it with --chdir",
            false
        ),
        (
            "needs",
            "importing needs raised ModuleNotFoundError: No module named 'never_installed'. Install the package that has never_installed into this Python environment",
            true
        ),
        ("broken", "importing broken raised ZeroDivisionError: division by zero", true),
        ("syntax", "importing syntax raised SyntaxError: ", true),
        ("leaves", "importing leaves raised SystemExit: 5", true),
        (
            "named", "module named (DIR/named.py) has no attribute app or application. Did you mean named:service?",
            false
        ),
        ("named:apk", "module named (DIR/named.py) has no attribute apk. Did you mean named:service?", false),
        (
            "several",
            "module several (DIR/several.py) has no attribute app or application. These look like applications: several:first, several:create_app()",
            false
        ),
        (
            "nothing",
            "module nothing (DIR/nothing.py) has no attribute app or application. Nothing in it looks like a WSGI application",
            false
        ),
        (
            "asynchronous",
            "asynchronous:app is asynchronous (ASGI), and Granite serves WSGI. Wrap it, for example with a2wsgi.ASGIMiddleware",
            false
        ),
        (
            "text",
            "text:app is a str, which is not callable. A WSGI application is called with environ and start_response (PEP 3333)",
            false
        ),
        (
            "several:create_app()",
            "the factory several:create_app() raised ValueError: no settings. It is called without arguments", true
        ),
        (
            "app.py",
            "\"app.py\" does not name an application: it is a file's path. Write the module's name, app:app, and the folder with --chdir",
            false
        ),
        (
            "a b:app",
            "\"a b:app\" does not name an application: \"a b\" is no module name. Write module:attribute, such as app:app or shop.wsgi:application",
            false
        ),
        (
            "app:f(1)",
            "\"app:f(1)\" does not name an application: \"f(1)\" is no attribute name. Arguments cannot be given: write a function without any",
            false
        ),
    ])
    func loadErrorsSayWhatToDo(_ target: String, _ expected: String, _ hasTraceback: Bool) async throws {
        let folder = try TemporaryDirectory()
        for (name, text) in [
            "needs.py": "import never_installed", "broken.py": "def f():\n    return 1 / 0\nf()", "syntax.py": "def",
            "leaves.py": "import sys\nsys.exit(5)",
            "named.py": "def service(environ, start_response): pass\nvalue = 1",
            "several.py":
                "def first(environ, start_response): pass\ndef create_app():\n    raise ValueError('no settings')",
            "nothing.py": "x = 1", "asynchronous.py": "async def app(scope, receive, send): pass",
            "text.py": "app = 'x'", "package/__init__.py": "",
        ] { try folder.write(text, to: name) }
        let run = try await Probe.run(
            ["serve", "--python", try Python.usual.path, "--directory", folder.url.path, target], directory: folder.url)
        #expect(run.ending == .code(3))
        let failure = try #require(run.failure)
        let said = failure.description.replacingOccurrences(of: folder.url.path, with: "DIR")
        #expect(said.hasPrefix(expected) && (said == expected || expected.hasSuffix(": ")), "\(said)")
        #expect((failure.traceback != nil) == hasTraceback)
        if target == "broken" {
            #expect(failure.traceback?.hasPrefix("Traceback (most recent call last):\n") == true)
            #expect(failure.traceback?.contains("broken.py\", line 2, in f") == true)
            #expect(failure.traceback?.contains("importlib") == false)
        }
    }

    @Test(arguments: [("shop:make", true), ("shop:make()", false), ("shop:inner.app", false), ("shop", false)])
    func applicationIsFoundByItsName(_ target: String, _ isFactory: Bool) async throws {
        let folder = try TemporaryDirectory()
        try folder.write(
            """
            def application(environ, start_response):
                start_response('200 OK', [])
                return [b'served']
            class inner: app = staticmethod(application)
            def make(): return application
            """, to: "shop.py")
        let options = isFactory ? ["--factory"] : []
        let run = try await Probe.run(
            ["serve", "--python", try Python.usual.path, "--directory", folder.url.path] + options + [target],
            [ScriptedRequest()])
        #expect(run.answers.first?.text == "served", "\(run.failure?.description ?? "")")
    }

    @Test func interpretersThatCannotBeRunAreNamed() throws {
        let folder = try TemporaryDirectory()
        func make(_ name: String, _ script: String) throws -> String {
            try folder.writeExecutable("#!/bin/sh\n" + script, to: name).path
        }
        func answer(_ implementation: String, _ version: String, _ hex: Int, base: String, _ freeThreaded: String = "")
            -> String
        {
            let fields = [
                "noise\\000granite-python", "/x/bin/python3", "/x", base, implementation, version, "\(hex)", "/x/lib",
                "libpython.a", "", "", "", freeThreaded,
            ]
            return "printf '" + fields.joined(separator: "\\000") + "\\000'"
        }
        func message(_ python: String?, _ environment: [String: String] = [:]) -> String {
            do {
                _ = try PythonInstallation.locate(python: python, environment: environment)
                return "found"
            } catch { return error.description.replacingOccurrences(of: folder.url.path, with: "DIR") }
        }
        #expect(
            message(try make("system", answer("cpython", "3.11.2", 0x030b_02f0, base: "/nowhere"))) == """
                /x/bin/python3 (Python 3.11.2) has no shared library libpython3.11.so.1.0. Build that Python with --enable-shared (pyenv: \
                PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install 3.11.2), then make the virtual environment anew
                """)
        #expect(
            message(try make("debian", answer("cpython", "3.12.2", 0x030c_02f0, base: "/usr"))) == """
                /x/bin/python3 (Python 3.12.2) has no shared library libpython3.12.so.1.0. Install it: apt-get install libpython3.12 \
                (Debian, Ubuntu) or dnf install python3.12-libs (Fedora)
                """)
        #expect(
            message(try make("old", answer("cpython", "3.8.1", 0x0308_01f0, base: "/x"))) == """
                DIR/old is Python 3.8, and Granite runs 3.9 to 3.13. Make the virtual environment with one of those, or give one with --python
                """)
        #expect(
            message(try make("free", answer("cpython", "3.13.0", 0x030d_00f0, base: "/x", "1"))) == """
                DIR/free is a free-threaded build (3.13t), which Granite does not run yet. Give the build with the GIL, python3.13, with --python
                """)
        #expect(
            message(try make("pypy", answer("pypy", "3.10.1", 0x030a_01f0, base: "/x"))) == """
                DIR/pypy is pypy, and Granite runs CPython only. Give a CPython 3.9 to 3.13 with --python
                """)
        #expect(
            message(try make("dies", "exit 9")) == """
                DIR/dies ended with status 9 before it could say where it lives. Run it by hand: DIR/dies -c 'import sysconfig'
                """)
        #expect(
            message(try make("mute", "echo hello"))
                == "DIR/mute did not say where it lives. Run it by hand: DIR/mute -m sysconfig")
        #expect(
            message("/nowhere/python") == """
                /nowhere/python is neither a Python interpreter nor a virtual environment. Give the path of python3, or of the folder that has \
                bin/python3
                """)
        #expect(
            message("python9", ["PATH": folder.url.path])
                == "there is no python9 on PATH. Give its whole path with --python")
        #expect(
            message(nil, ["PATH": "/nowhere"])
                == "there is no python3 on PATH. Activate a virtual environment, or give an interpreter with --python")
        #expect(
            message(nil, ["VIRTUAL_ENV": "/nowhere"]) == """
                VIRTUAL_ENV is /nowhere, and there is no bin/python3 in it. Activate another environment, or give an interpreter with --python
                """)
    }

    @Test func libraryOfAnotherVersionIsRefused() async throws {
        let python = try Python.usual
        let run = try await Probe.run(["serve", "--python", python.path, "--claimed-version", "3.11.99", "wsgi_cases"])
        #expect(run.ending == .code(3))
        let said = try #require(run.failure?.description)
        #expect(said.contains("/libpython3.11.so.1.0 is Python 3.11."))
        #expect(said.hasSuffix("is 3.11.99. Install the library of that very version"))
    }

    @Test func fileThatIsNoLibraryOfPythonIsNamed() throws {
        let folder = try TemporaryDirectory()
        try folder.write("no library", to: "libpython3.11.so.1.0")
        func message(_ library: String) -> String {
            let installation = PythonInstallation(
                executable: "/x/python3", prefix: "/x", basePrefix: "/x", version: "3.11.9", hexVersion: 0x030b_09f0,
                library: library)
            do {
                _ = try PythonInterpreter.start(installation, arguments: [], directory: nil)
                return "started"
            } catch { return error.description.replacingOccurrences(of: folder.url.path, with: "DIR") }
        }
        #expect(
            message(folder.file("libpython3.11.so.1.0").path)
                == "cannot open DIR/libpython3.11.so.1.0: DIR/libpython3.11.so.1.0: file too short")
        #expect(
            message("libm.so.6")
                == "libm.so.6 has no function Py_GetVersion. Granite runs CPython 3.9 to 3.13 with a GIL")
    }
}
