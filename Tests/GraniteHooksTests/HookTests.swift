// What each of Python's hooks leads to: a report or none, with whose words, and what the hook before it still sees.

import GraniteCrashChannel
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)))
struct HookTests {
    @Test(arguments: HookedPython.installed)
    func anErrorInDelDuringACollectionNamesTheObjectTheLineAndTheGeneration(_ python: HookedPython) async throws {
        let outcome = try await python.run(
            """
            import gc
            class Cursed:
                def __init__(self):
                    self.cycle = self
                def __del__(self):
                    raise ValueError('refuses to die')
            Cursed()
            gc.collect(1)
            """)
        #expect(outcome.ending == .code(0))
        #expect(outcome.errors.contains("Exception ignored in: <function Cursed.__del__ at"))  // as ever
        let capture = outcome.capture
        #expect(capture.kind == .unraisable)
        #expect(capture.subject.hasPrefix("<function Cursed.__del__ at 0x"))
        #expect(capture.message.hasPrefix("ValueError: refuses to die ("))
        #expect(capture.message.hasSuffix("app.py:7 in __del__)"))
        #expect(capture.details["hook"] == "unraisable")
        #expect(capture.details["type"] == "__main__.Cursed")
        #expect(capture.details["collector"] == "running")
        #expect(capture.details["generation"] == "1")
    }

    @Test(arguments: HookedPython.installed)
    func outsideOfACollectionNoneIsClaimed(_ python: HookedPython) async throws {
        let outcome = try await python.run(
            """
            import gc
            class Cursed:
                def __del__(self):
                    raise ValueError('refuses to die')
            gc.collect()
            Cursed()
            """)
        #expect(outcome.capture.kind == .unraisable)
        #expect(outcome.capture.details["collector"] == nil)
        #expect(outcome.capture.details["generation"] == nil)
    }

    @Test(arguments: HookedPython.installed)
    func aCollectionOfAnotherThreadIsToldApart(_ python: HookedPython) async throws {
        let outcome = try await python.run(
            """
            import gc, threading
            collecting, done = threading.Event(), threading.Event()
            class Slow:
                def __init__(self):
                    self.cycle = self
                def __del__(self):
                    collecting.set()
                    done.wait()
            class Cursed:
                def __del__(self):
                    raise ValueError('refuses to die')
            gc.disable()
            Slow()
            thread = threading.Thread(target=gc.collect)
            thread.start()
            collecting.wait()
            Cursed()
            done.set()
            thread.join()
            """)
        #expect(outcome.capture.details["collector"] == "running_elsewhere")
        #expect(outcome.capture.details["generation"] == "2")
    }

    @Test(arguments: HookedPython.installed)
    func anUncaughtExceptionOfAThreadIsToldWithItsName(_ python: HookedPython) async throws {
        let outcome = try await python.run(
            """
            import threading
            def work():
                raise LookupError('lost')
            thread = threading.Thread(target=work, name='worker-7')
            thread.start()
            thread.join()
            """)
        #expect(outcome.errors.contains("Exception in thread worker-7"))
        #expect(outcome.capture.kind == .threadException)
        #expect(outcome.capture.subject == "worker-7")
        #expect(outcome.capture.message.hasPrefix("LookupError: lost ("))
        #expect(outcome.capture.message.hasSuffix("app.py:4 in work)"))
        #expect(outcome.capture.details["hook"] == "threading")
    }

    @Test(arguments: HookedPython.installed)
    func threadingThatWasImportedBeforeIsHookedToo(_ python: HookedPython) async throws {
        let outcome = try await python.run(
            """
            import threading
            threading.Thread(target=lambda: 1 / 0).start()
            """, environment: ["GRANITE_TEST_IMPORT": "threading"])
        #expect(outcome.capture.kind == .threadException)
    }

    @Test(arguments: HookedPython.installed)
    func anUncaughtExceptionIsToldAndEndsTheProgramAsEver(_ python: HookedPython) async throws {
        let outcome = try await python.run("def main():\n    raise KeyError('no such shop')\nmain()")
        #expect(outcome.ending == .code(1))
        #expect(outcome.errors.hasPrefix("Traceback (most recent call last):"))
        #expect(outcome.capture.kind == .uncaught)
        #expect(outcome.capture.subject == "")
        #expect(outcome.capture.message.hasPrefix("KeyError: 'no such shop' ("))
        #expect(outcome.capture.message.hasSuffix("app.py:3 in main)"))
        #expect(outcome.capture.details["hook"] == "sys")
    }

    @Test(arguments: [
        "raise SystemExit(3)", "sys.exit('bye')", "raise KeyboardInterrupt",
        "import threading; threading.Thread(target=sys.exit).start()",
        "class Cursed:\n    def __del__(self):\n        raise KeyboardInterrupt\nCursed()",
        "sys.ps1 = '> '\n1 / 0",
    ])
    func whatIsNoMistakeIsNotTold(_ script: String) async throws {
        let outcome = try await HookedPython.usual.run(script)
        #expect(outcome.capture.kind == .none)
        #expect(outcome.occasions.isEmpty)
    }

    @Test(arguments: HookedPython.installed)
    func hooksOfTheApplicationAreChainedBothWays(_ python: HookedPython) async throws {
        let outcome = try await python.run(
            """
            import sys, threading
            class Cursed:
                def __del__(self):
                    raise ValueError('refuses to die')
            def chain(module, name):
                earlier = getattr(module, name)
                def hook(*arguments):
                    print(name, 'of the application')
                    earlier(*arguments)
                setattr(module, name, hook)
            chain(sys, 'unraisablehook')
            chain(sys, 'excepthook')
            chain(threading, 'excepthook')
            assert install()  # in front of them, and again behind: one exception is told once
            assert install()
            Cursed()
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
            raise LookupError('lost')
            """)
        #expect(
            outcome.output
                == "unraisablehook of the application\nexcepthook of the application\nexcepthook of the application\n")
        #expect(outcome.errors.contains("Exception ignored in"))
        #expect(outcome.errors.contains("ZeroDivisionError"))
        #expect(outcome.errors.contains("LookupError: lost"))
        #expect(outcome.occasions.map(\.count) == [1, 1, 1])
        #expect(Set(outcome.occasions.map(\.kind)) == [.unraisable, .threadException, .uncaught])
    }

    @Test func aHookThatDoesNotChainIsOvercomeByInstallingAgain() async throws {
        let outcome = try await HookedPython.usual.run(
            """
            sys.excepthook = lambda *arguments: print('mine')
            assert install()
            1 / 0
            """)
        #expect(outcome.output == "mine\n")
        #expect(outcome.capture.kind == .uncaught)
    }

    @Test func hooksThatAreNoneAreReplacedByPythonsOwn() async throws {
        let outcome = try await HookedPython.usual.run(
            """
            sys.unraisablehook = None
            assert install()
            class Cursed:
                def __del__(self):
                    raise ValueError('refuses to die')
            Cursed()
            """)
        #expect(outcome.errors.contains("Exception ignored in: <function Cursed.__del__ at"))
        #expect(outcome.capture.kind == .unraisable)
    }

    /// code.InteractiveInterpreter shows an error by itself only if nobody set a hook.
    @Test(arguments: HookedPython.installed, ["", "threading"])
    func aProgramThatAsksWhetherAHookIsSetHearsNo(_ python: HookedPython, _ imported: String) async throws {
        let outcome = try await python.run(
            """
            import threading
            print(sys.excepthook is sys.__excepthook__, sys.unraisablehook is sys.__unraisablehook__,
                  threading.excepthook is getattr(threading, '__excepthook__', threading.excepthook))
            print(sys.excepthook.__module__, sys.unraisablehook.__module__, threading.excepthook.__module__)
            import code
            class Console(code.InteractiveInterpreter):
                def write(self, text):
                    print(text.splitlines()[-1])
            sys.excepthook = sys.__excepthook__
            Console().runcode('1 / 0')
            """, environment: ["GRANITE_TEST_IMPORT": imported])
        #expect(outcome.output == "True True True\nsys sys _thread\nZeroDivisionError: division by zero\n")
        #expect(outcome.occasions.isEmpty)
    }

    @Test func aHookThatEndsInPythonsOwnIsTold() async throws {
        let outcome = try await HookedPython.usual.run(
            """
            def hook(*arguments):
                print('mine')
                sys.__excepthook__(*arguments)
            sys.excepthook = hook
            1 / 0
            """)
        #expect(outcome.output == "mine\n")
        #expect(outcome.errors.contains("ZeroDivisionError: division by zero"))
        #expect(outcome.occasions.map(\.count) == [1])
    }

    @Test(arguments: HookedPython.installed)
    func aSubinterpreterHasHooksOfItsOwnOrNone(_ python: HookedPython) async throws {
        let outcome = try await python.run(
            """
            try:
                import _interpreters as interpreters
            except ImportError:
                import _xxsubinterpreters as interpreters
            inner = '''
            import ctypes, os, gc
            library = ctypes.PyDLL(os.environ["GRANITE_TEST_PRELOAD"])
            for _ in range(2):
                library.granite_hooks_install()
            class Inner:
                def __init__(self):
                    self.cycle = self
                def __del__(self):
                    raise ValueError('inner')
            Inner()
            gc.collect()
            '''
            class Outer:
                def __del__(self):
                    raise ValueError('outer')
            for _ in range(3):
                number = interpreters.create(isolated=False) if sys.version_info < (3, 13) else interpreters.create()
                interpreters.run_string(number, inner)
                interpreters.destroy(number)
                Outer()
            """)
        #expect(outcome.ending == .code(0), "\(outcome.errors)")
        #expect(outcome.occasions.contains { $0.count == 3 && $0.message.contains("outer") })
        #expect(outcome.errors.contains("ValueError: inner"))
    }

    @Test(arguments: HookedPython.installed)
    func tracemallocSaysWhereTheObjectWasMade(_ python: HookedPython) async throws {
        let outcome = try await python.run(
            """
            class Cursed:
                __slots__ = ('room',)  # tracemalloc of 3.11 does not find objects with a __dict__
                def __init__(self):
                    self.room = 0
                def __del__(self):
                    raise ValueError('refuses to die')
            def make():
                return Cursed()
            def use():
                return make()
            use()
            """, options: ["-X", "tracemalloc=5"])
        let places = outcome.capture.details.all("allocated")
        #expect(places.first?.hasSuffix("app.py:9") == true, "\(places)")
        #expect(places.dropFirst().first?.hasSuffix("app.py:11") == true, "\(places)")
    }
}
