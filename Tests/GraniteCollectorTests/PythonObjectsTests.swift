// Thread names, exceptions and local variables of stopped CPythons. Separate from the tests of frames, because objects have a table of
// offsets of their own.

import Foundation
import GraniteCollector
import Testing

/// Names, exceptions and variables, read out of stopped processes of every CPython that is installed.
@Suite(.enabled(if: !PythonInstallation.all.isEmpty, "no CPython 3.9 to 3.13 found"), .timeLimit(.minutes(5)))
struct PythonObjectsTests {
    @Test(arguments: PythonInstallation.all)
    func exceptionsBeingHandledAreToldWithWhereTheyWereRaised(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "exception")
        let names = try host.read()
        #expect(names.problems == [])
        func exception(_ name: String) throws -> PythonException? {
            let thread = try #require(names.threads.first { $0.name == "kind \(name)" })
            let read = try host.read(crashed: thread.threadID)
            #expect(read.threads.filter { $0.exception != nil }.count <= 1)
            return read.threads.first { $0.threadID == thread.threadID }?.exception
        }
        let plain = try #require(try exception("plain"))
        #expect(plain.type == "__main__.ProgramError")
        #expect(plain.message == "token=hunter2 is bad: ж")
        #expect(plain.function == "raises")
        #expect(plain.file?.hasSuffix("host.py") == true)
        #expect(plain.isHandled)
        let source = try String(contentsOfFile: plain.file ?? "", encoding: .utf8).split(
            separator: "\n", omittingEmptySubsequences: false)
        #expect(source[try #require(plain.line) - 1].contains("raise ProgramError"))
        #expect(try exception("key")?.type == "KeyError")
        #expect(try exception("key")?.message == "'missing'")
        // From 3.12 on a generator that has not begun passes on what is thrown into it.
        #expect(try exception("none")?.type == (python.minor < 12 ? "RuntimeError" : "StopIteration"))
        #expect(try exception("os")?.type == "FileNotFoundError")
        #expect(try exception("os")?.message == "[Errno 2] No such file or directory")
        #expect(try exception("many")?.message == "('a', 2, None)")
        await host.end()
    }

    @Test(arguments: PythonInstallation.all)
    func localsAreToldWithoutSecrets(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "locals")
        let named = try #require(try host.read().threads.first { $0.name == "ж local" })
        #expect(named.frames.allSatisfy { $0.locals == nil }, "only if they are asked for")
        let snapshot = try host.read(crashed: named.threadID, withLocals: true)
        #expect(snapshot.threads.filter { $0.frames.contains { $0.locals != nil } }.count == 1)
        let thread = try #require(snapshot.threads.first { $0.threadID == named.threadID })
        let outer = try #require(thread.frames.first { $0.name.hasSuffix("outer") })
        let locals = Dictionary(
            (outer.locals ?? []).map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        #expect(locals["argument"] == "'first'")
        #expect(locals["rest"] == "(2, 3)")
        #expect(locals["keyword"] == "'url://ann:[redacted]@host/'")
        #expect(locals["free"] == "'free ж'")
        #expect(locals["password"] == "[redacted]")
        #expect(locals["cycle"] == "[1, [1, […2]]]")
        #expect(
            locals["numbers"]
                == "(0, 1, -1, 1073741824, -4611686018427387904, 1267650600228229401496703205376, -664613997892457936451903530140172288, <int of 510 bits at most>, …2 more)"
        )
        #expect(locals["floats"] == "[1.0, -0.5, 1e+300, inf]")
        #expect(locals["texts"] == #"["a'b", 'line\n', '𠀋', '', b'\x00by\'te', b'']"#)
        #expect(
            locals["settings"]
                == "{'api_key': [redacted], 'csrf': [redacted], 'debug': None, 3: (4,), 'nested': {'token': [redacted], 'x': […3]}}"
        )
        #expect(locals["headers"] == "{b'password': [redacted], b'host': 1}")
        #expect(
            locals["pairs"] == "[('token', [redacted]), (b'api_key', [redacted]), ('token', 1, 2), ('a', 1)]")
        #expect(locals["empty"] == "((), [], {}, <set of 0>, <set of 2>)")
        #expect(locals["long_list"] == "[0, 1, 2, 3, 4, 5, 6, 7, …99992 more]")
        #expect(locals["long_text"] == "'" + String(repeating: "x", count: 160) + "…'")
        #expect(locals["thing"]?.hasPrefix("<__main__.Named object at 0x") == true)
        #expect(locals["kind"]?.hasPrefix("<type object at 0x") == true)
        #expect(locals["unset"] == nil)
        #expect(locals["inner"]?.hasPrefix("<function object at 0x") == true)
        let inner = try #require(thread.frames.first { $0.name.hasSuffix("inner") })
        #expect(inner.locals?.map { "\($0.name) = \($0.value)" }.sorted() == ["argument = 'first'", "free = 'free ж'"])
        #expect(!"\(thread)".contains("hunter2"))
        await host.end()
    }

    @Test(arguments: PythonInstallation.oneOfEach)
    func anInterpreterWithinAnotherOnOneThreadHasAPlaceOnItsStack(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "nested")
        let snapshot = try host.read()
        #expect(snapshot.interpreters == 2)
        let inner = try #require(snapshot.threads.first { $0.frames.contains { $0.name == "in_nested" } })
        let outer = try #require(snapshot.threads.first { $0.name == "nester" })
        #expect(inner.interpreter == 1 && outer.interpreter == 0)
        if python.minor >= 10 {
            #expect(try #require(inner.stackAddress) < #require(outer.stackAddress), "stacks grow downwards")
        }
        await host.end()
    }

    @Test(arguments: PythonInstallation.all)
    func theGenerationOfACollectionIsTold(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "collecting")
        #expect(try host.read().collectedGeneration == 2)
        await host.end()
    }
}
