// What happens over and over is reported once and counted; mistakes are told apart by what they are, not by their texts.

import GraniteCrashChannel
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)))
struct CountingTests {
    @Test(arguments: HookedPython.installed)
    func twentyThousandOfOneKindAreOneReportAndACount(_ python: HookedPython) async throws {
        let outcome = try await python.run(
            """
            sys.unraisablehook = lambda arguments: None
            assert install()
            class Cursed:
                def __init__(self, number):
                    self.number = number
                def __del__(self):
                    raise ValueError(f'number {self.number} refuses to die')
            for number in range(20_000):
                Cursed(number)
            """)
        let occasion = try #require(outcome.occasions.first)
        #expect(outcome.occasions.count == 1)
        #expect(occasion.kind == .unraisable)
        #expect(occasion.count == 20_000)
        #expect(occasion.captured == 1)
        #expect(occasion.subject.hasPrefix("<function Cursed.__del__ at 0x"))
        #expect(occasion.message.hasPrefix("ValueError: number 0 refuses to die ("))
    }

    @Test func noReprIsMadeOfWhatIsOnlyCounted() async throws {
        let outcome = try await HookedPython.usual.run(
            """
            import weakref
            class Callback:
                def __repr__(self):
                    print('repr')
                    return 'a callback'
                def __call__(self, reference):
                    raise ValueError('refuses')
            sys.unraisablehook = lambda arguments: None
            assert install()
            class Value: pass
            for _ in range(100):
                value = Value()
                reference = weakref.ref(value, Callback())
                del value
            """)
        #expect(outcome.output == "repr\n")
        #expect(outcome.occasions.map(\.count) == [100])
        #expect(outcome.capture.subject == "a callback")
    }

    @Test func methodsAndExceptionsAreToldApart() async throws {
        let outcome = try await HookedPython.usual.run(
            """
            def cursed(error):
                class Cursed:
                    def __del__(self):
                        raise error
                return Cursed
            class Other:
                def __del__(self):
                    raise ValueError('other')
            for _ in range(3):
                cursed(ValueError('one'))()  # three classes, one __del__ in the source
            cursed(TypeError('two'))()
            Other()
            """)
        #expect(outcome.occasions.map(\.count) == [3, 1, 1])
        #expect(outcome.occasions.map(\.captured) == [1, 1, 1])
    }

    @Test func threadsAreToldApartByTheLineThatEndedThem() async throws {
        let outcome = try await HookedPython.usual.run(
            """
            import threading
            def work(number):
                if number % 2:
                    raise ValueError(number)
                raise ValueError(number)
            for number in range(5):
                thread = threading.Thread(target=work, args=(number,))
                thread.start()
                thread.join()
            """)
        #expect(outcome.occasions.map(\.count) == [3, 2])
    }

    @Test func moreKindsThanThePageHoldsAreBounded() async throws {
        let outcome = try await HookedPython.usual.run(
            """
            sys.unraisablehook = lambda arguments: None
            assert install()
            for number in range(1000):
                space = {}
                exec(f'class Cursed:\\n    def __del__(self):\\n        raise ValueError({number})', space)
                space.pop('Cursed')()
            """)
        #expect(outcome.ending == .code(0))
        #expect(outcome.occasions.count <= 64)
    }

    @Test(arguments: [
        "_granian::wsgi::io::WSGIProtocol is unsendable, but is being dropped on another thread",
        "_granian::wsgi::io::WSGIProtocol is unsendbale, but is dropped on another thread!",
    ])
    func theDropOfAnUnsendableObjectIsADropSiteOfItsType(_ sentence: String) async throws {
        let outcome = try await HookedPython.usual.run(
            """
            class Protocol:
                def __del__(self):
                    raise RuntimeError('\(sentence)')
            for _ in range(10):
                Protocol()
            """)
        #expect(outcome.capture.kind == .dropSite)
        #expect(outcome.capture.subject == "_granian::wsgi::io::WSGIProtocol")
        #expect(outcome.capture.message.hasPrefix("RuntimeError: _granian::wsgi::io::WSGIProtocol is unsend"))
        #expect(outcome.capture.details["type"] == "_granian::wsgi::io::WSGIProtocol")
        #expect(outcome.occasions.map(\.count) == [10])
    }

    @Test func theUseOfAnUnsendableObjectIsADropSiteWhicheverThreadsTheAssertionNames() async throws {
        let outcome = try await HookedPython.usual.run(
            """
            import threading
            class PanicException(BaseException): pass
            def use(number):
                raise PanicException('assertion failed: `(left == right)`\\n  left: `ThreadId(%d)`,\\n right: `ThreadId(1)`: '
                    'y_py::y_doc::YDoc is unsendable, but sent to another thread!' % number)
            for number in range(3):
                thread = threading.Thread(target=use, args=(number,))
                thread.start()
                thread.join()
            """)
        #expect(outcome.capture.kind == .dropSite)
        #expect(outcome.capture.subject == "y_py::y_doc::YDoc")
        #expect(
            outcome.capture.message.hasPrefix(
                "PanicException: y_py::y_doc::YDoc is unsendable, but sent to another thread ("))
        #expect(outcome.occasions.map(\.count) == [3])
    }

    @Test func aDropWithoutTheGILIsADropSiteOfNoType() async throws {
        let outcome = try await HookedPython.usual.run(
            """
            import threading
            class PanicException(BaseException): pass
            def drop():
                raise PanicException('Cannot drop pointer into Python heap without the GIL being held.')
            thread = threading.Thread(target=drop)
            thread.start()
            thread.join()
            """)
        #expect(outcome.capture.kind == .dropSite)
        #expect(outcome.capture.details["type"] == nil)
        #expect(outcome.capture.message.contains("Cannot drop pointer into Python heap without the GIL being held. ("))
    }

    @Test func anyOtherPanicIsAPanic() async throws {
        let outcome = try await HookedPython.usual.run(
            """
            import threading
            class PanicException(BaseException): pass
            def work():
                raise PanicException('called `Option::unwrap()` on a `None` value')
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            """)
        #expect(outcome.capture.kind == .panic)
        #expect(outcome.capture.message.hasPrefix("PanicException: called `Option::unwrap()` on a `None` value ("))
        #expect(outcome.capture.details["hook"] == "threading")
    }

    @Test(arguments: HookedPython.installed)
    func ofWhatTheApplicationReturnsToItsCallerOnlyPanicsAreTold(_ python: HookedPython) async throws {
        let outcome = try await python.run(
            """
            class PanicException(BaseException): pass
            note = library.granite_hooks_note_exception
            note.argtypes = [ctypes.py_object] * 3
            for error in (ValueError('x'), RuntimeError('x'), KeyboardInterrupt(), SystemExit(1), PanicException('boom')):
                note(type(error), error, error.__traceback__)
            """)
        #expect(outcome.occasions.map(\.count) == [1])
        #expect(outcome.capture.kind == .panic)
        #expect(outcome.capture.message == "PanicException: boom")
        #expect(outcome.capture.details["hook"] == "rust")
    }
}
