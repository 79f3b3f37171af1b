// Objects and exceptions that are made to hurt whoever looks at them: the report is bounded and plain, and the program goes on.

import GraniteCrashChannel
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)))
struct HostileObjectTests {
    /// Runs `body` as the `__repr__` of an object whose weak reference's callback fails.
    private func subject(_ python: HookedPython, _ body: String) async throws -> HookedPython.Outcome {
        try await python.run(
            """
            import weakref
            class Hostile:
                def __repr__(self):
                    \(body)
                def __call__(self, reference):
                    raise ValueError('refuses')
            sys.unraisablehook = lambda arguments: None
            assert install()
            class Value: pass
            value = Value()
            reference = weakref.ref(value, Hostile())
            del value
            print('goes on')
            """)
    }

    @Test(arguments: HookedPython.installed)
    func aReprThatRaisesGivesTheTypesName(_ python: HookedPython) async throws {
        for error in ["ValueError", "KeyboardInterrupt", "SystemExit", "RecursionError", "MemoryError"] {
            let outcome = try await subject(python, "raise \(error)('hostile')")
            #expect(outcome.output == "goes on\n")
            #expect(outcome.capture.subject == "__main__.Hostile")
        }
    }

    @Test(arguments: HookedPython.installed)
    func aHugeReprIsCutAtAWholeCharacter(_ python: HookedPython) async throws {
        let outcome = try await subject(python, "return 'ä' * 10_000_000")
        #expect(outcome.output == "goes on\n")
        #expect(outcome.capture.subject == String(repeating: "ä", count: 125) + "…")
    }

    @Test(arguments: HookedPython.installed)
    func loneSurrogatesAreEscaped(_ python: HookedPython) async throws {
        let outcome = try await subject(python, "return 'a' + chr(0xd800) + 'b'")
        #expect(outcome.output == "goes on\n")
        #expect(outcome.capture.subject == #"a\ud800b"#)
    }

    @Test(arguments: HookedPython.installed)
    func controlCharactersCannotForgeALineOfDetails(_ python: HookedPython) async throws {
        let outcome = try await subject(
            python, "return 'a' + chr(10) + 'hook=c' + chr(27) + '[31m' + chr(0x9b) + '1m' + chr(0) + 'z'")
        #expect(outcome.capture.subject == "a hook=c [31m 1m z")
        #expect(outcome.capture.details.all("hook") == ["unraisable"])
    }

    @Test(arguments: HookedPython.installed)
    func typesMayLieAboutTheirNames(_ python: HookedPython) async throws {
        let outcome = try await python.run(
            """
            class Liar(type):
                def __getattribute__(cls, name):
                    if name == '__name__': raise ValueError
                    if name == '__module__': return 7
                    if name == '__qualname__': return 'x\\ntype=forged' + 'y' * 100_000
                    return type.__getattribute__(cls, name)
            class Cursed(metaclass=Liar):
                def __del__(self):
                    raise ValueError('refuses')
            Cursed()
            class Error(ValueError, metaclass=Liar):
                def __str__(self): raise self
            def work(): raise Error
            import threading
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            print('goes on')
            """)
        #expect(outcome.output == "goes on\n", "\(outcome.errors)")
        #expect(outcome.occasions.map(\.count) == [1, 1])
        #expect(outcome.capture.message.hasPrefix("? (") && outcome.capture.message.hasSuffix(" in work)"))
    }

    @Test func argumentsThatAreNoneOfPythonsAreSurvived() async throws {
        let outcome = try await HookedPython.usual.run(
            """
            import threading
            quiet = lambda *arguments: print(len(arguments))
            sys.unraisablehook = sys.excepthook = threading.excepthook = quiet
            assert install()
            class Raises:
                def __getattr__(self, name): raise KeyboardInterrupt
            class Odd: exc_type, exc_value, exc_traceback, err_msg, object, thread = 7, 'x', 1.5, b'', None, ...
            class Half: exc_type, exc_value, exc_traceback = ValueError, 7, 7
            for arguments in (None, 7, (), (1, 2, 3, 4, 5), Raises(), Odd, Odd(), Half):
                sys.unraisablehook(arguments)
                threading.excepthook(arguments)
            sys.excepthook()
            sys.excepthook(None, None, None)
            sys.excepthook(7, 'x', 1.5)
            sys.excepthook(int, 'x', 1.5)
            sys.excepthook(ValueError, None, 1.5)
            """)
        #expect(outcome.ending == .code(0), "\(outcome.errors)")
        #expect(outcome.output == String(repeating: "1\n", count: 16) + "0\n" + String(repeating: "3\n", count: 4))
    }

    @Test func aTracebackInARingEnds() async throws {
        let outcome = try await HookedPython.usual.run(
            """
            import types
            sys.excepthook = lambda *arguments: print('seen')
            assert install()
            frame = sys._getframe()
            class Ring:
                tb_frame, tb_lineno = frame, 7
            Ring.tb_next = Ring
            sys.excepthook(ValueError, ValueError('x'), Ring)
            """)
        #expect(outcome.output == "seen\n")
        #expect(
            outcome.capture.message.hasSuffix("app.py:5 in <module>)")
                || outcome.capture.message.contains(":7 in <module>)"))
    }

    @Test func anErrorWhileAReportIsMadeIsNoOccasionOfItsOwn() async throws {
        let outcome = try await HookedPython.usual.run(
            """
            class Inner:
                def __del__(self): raise TypeError('inner')
            class Error(ValueError):
                def __str__(self):
                    Inner()
                    return 'outer'
            class Cursed:
                def __del__(self): raise Error
            sys.unraisablehook = lambda arguments: print(arguments.exc_type.__name__)
            assert install()
            Cursed()
            """)
        #expect(outcome.output == "TypeError\nError\n")
        #expect(outcome.occasions.map(\.count) == [1])
        #expect(outcome.capture.message.hasPrefix("Error: outer ("))
    }

    @Test(arguments: HookedPython.installed)
    func theExceptionReachesTheEarlierHookAsItWas(_ python: HookedPython) async throws {
        let outcome = try await python.run(
            """
            error = ValueError('refuses')
            class Cursed:
                def __del__(self): raise error
            def hook(arguments):
                print(arguments.exc_value is error, arguments.exc_type is ValueError,
                      arguments.exc_traceback.tb_lineno, arguments.exc_traceback.tb_next, arguments.object is Cursed.__del__,
                      sys.exc_info()[0], sys.getrefcount(error) == before)
            sys.unraisablehook = hook
            for _ in range(2):
                error.__traceback__ = None
                before = 0
                Cursed()
            assert install()
            for _ in range(2):
                error.__traceback__ = None
                Cursed()
            """)
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.count == 4)
        #expect(Set(lines).count == 1, "\(lines)")
    }
}
