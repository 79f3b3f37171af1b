"""A Python process in a known state: builds stacks, prints what the interpreter itself says of them, and stands still.

usage: host.py SCENARIO [THREADS]
Prints one line of JSON: the address of _PyRuntime, PY_VERSION_HEX and, for each thread, file, name and line of its
frames, innermost first.
"""
import _thread
import asyncio
import ctypes
import functools
import gc
import json
import os
import re
import signal
import sys
import threading

signal.pthread_sigmask(signal.SIG_SETMASK, [])  # a test's thread may have blocked everything, which is inherited
signal.alarm(180)  # whatever becomes of the test, this process ends
sys.setswitchinterval(0.001)
SCENARIO = sys.argv[1]
THREADS = int(sys.argv[2]) if len(sys.argv) > 2 else 1

gate = _thread.allocate_lock()
gate.acquire()
arrived = []
natives = {}


def stand_still():
    natives[_thread.get_ident()] = threading.get_native_id()
    # One line, so that the truth holds before, during and after the wait.
    arrived.append(1); gate.acquire()


def printable(text):
    """JSON has no lone surrogates."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def frames_of(frame):
    result = []
    while frame is not None:
        code = frame.f_code
        name = code.co_qualname if sys.version_info >= (3, 11) else code.co_name
        result.append({"file": printable(code.co_filename), "name": printable(name), "line": frame.f_lineno})
        frame = frame.f_back
    return result


def tell():
    """Waits until all others stand still, then prints the truth about them."""
    while len(arrived) < THREADS:
        gate.acquire(True, 0.001)
    teller = _thread.get_ident()
    threads = [
        {"ident": ident, "native": natives[ident], "frames": frames_of(frame)}
        for ident, frame in sys._current_frames().items() if ident != teller
    ]
    say(threads=threads)
    gate.acquire()


def say(**more):
    runtime = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
    sys.stdout.write(json.dumps(dict(more, runtime=runtime, version=sys.hexversion, teller=_thread.get_ident())) + "\n")
    sys.stdout.flush()


# --- What a thread of the nest does: Python calls C calls Python, in every way that has its own frames ---

COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))


class Thing:
    def __init__(self, block):
        self.block = block
        if block:
            self.go()

    def go(self):
        return self.value

    @property
    def value(self):
        return [item for item in numbers()]

    def __getattr__(self, name):
        stand_still()
        raise AttributeError(name)


def numbers():
    yield 1
    yield from deeper()


def deeper():
    yield functools.reduce(lambda left, right: reduced(left, right), [1, 2, 3])


def reduced(left, right):
    return list(map(lambda number: mapped(number), [left]))


def mapped(number):
    values = (ctypes.c_int * 2)(2, 1)

    def compare(left, right):
        re.sub("x", lambda match: replaced(match), "x")
        return 0

    ctypes.CDLL(None).qsort(values, 2, ctypes.sizeof(ctypes.c_int), COMPARE(compare))


def replaced(match):
    class Body:
        result = getattr(match_holder, "missing")
    return "y"


match_holder = Thing(False)


def nest():
    # Called often enough that 3.11 and later specialize the call, and 3.13 inlines __init__.
    for block in [False] * 200 + [True]:
        sorted([block], key=lambda item: Thing(item))


def run_threads(target):
    for _ in range(THREADS - 1):
        _thread.start_new_thread(target, ())
    threading.Thread(target=tell, daemon=True).start()
    target()


def text():
    source = (
        "def naïve(go):\n"
        "    return функция(go)\n"
        "def функция(go):\n"
        "    return 𠀋(go)\n"
        "def 𠀋(go):\n"
        "    return go()\n")
    scope = {}
    exec(compile(source, "/tmp/файл_𠀋.py", "exec"), scope)
    scope["naïve"](functools.partial(eval, compile("go()", os.fsdecode(b"latin-\xff.py"), "eval"), {"go": long_name}))


def long_name():
    scope = {"go": stand_still}
    exec(compile("def " + "n" * 5000 + "():\n    go()\n", "x" * 300, "exec"), scope)
    scope["n" * 5000]()


def coroutines():
    async def inner():
        async for value in values():
            return value

    async def values():
        stand_still()
        yield 1

    async def outer():
        async with Context() as value:
            return await inner()

    asyncio.run(outer())


class Context:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *exception):
        return False


def recursion():
    sys.setrecursionlimit(20000)

    def descend(depth):
        if depth == 0:
            return stand_still()
        return descend(depth - 1)

    descend(6000)


class Dropped:
    def __del__(self):
        stand_still()


def dropped():
    def holds():
        local = Dropped()
        return None

    # The object dies while its frame is being cleared, below a call that C made.
    list(map(lambda item: holds(), [1]))


def collecting():
    cycle = Dropped()
    cycle.self = cycle
    del cycle
    gc.collect()


def busy():
    """Never stands still; the names of its functions all start with busy_."""
    class busy_class:
        def __init__(self, value):
            self.value = busy_recursive(value % 7)

        def __del__(self):
            busy_finalizer(self.value)

        def __lt__(self, other):
            return self.value < other.value

    def busy_finalizer(value):
        return [value] * 3

    def busy_recursive(depth):
        return depth if depth == 0 else busy_recursive(depth - 1) + sum(busy_generator(depth))

    def busy_generator(count):
        for number in range(count):
            yield busy_leaf(number)

    def busy_leaf(number):
        local = Cycle()
        local.self = local
        return len(str({"n": number, "m": [number] * 5}))

    def busy_key(value):
        return re.sub("[0-9]", busy_replace, str(value.value))

    def busy_replace(match):
        return match.group(0) + "."

    class Cycle:
        pass

    say(threads=[])
    while True:
        values = list(map(busy_class, range(50)))
        values.sort()
        values.sort(key=busy_key)
        functools.reduce(lambda left, right: max(left, right), values)


def subinterpreter():
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    read, write = os.pipe()
    source = f"""
import os, time
def in_subinterpreter():
    os.write({write}, b"x"); time.sleep(1000)
in_subinterpreter()
"""
    identity = interpreters.create()
    _thread.start_new_thread(interpreters.run_string, (identity, source))
    os.read(read, 1)
    say(threads=[])
    gate.acquire()


def nested():
    """A second interpreter within a function of the first, on the same thread."""
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    read, write = os.pipe()
    source = f"""
import os, time
def in_nested():
    os.write({write}, b"x"); time.sleep(1000)
list(map(lambda item: in_nested(), [1]))
"""

    def tell_nested():
        os.read(read, 1)
        say(threads=[])
        gate.acquire()

    def runs_nested():
        list(map(lambda item: interpreters.run_string(interpreters.create(), source), [1]))

    # Not with the loops of its own run only: a thread of the threading module.
    threading.Thread(target=runs_nested, name="nester", daemon=True).start()
    tell_nested()


class ProgramError(ValueError):
    pass


def raises(depth):
    if depth:
        return raises(depth - 1)
    raise ProgramError("token=hunter2 is bad: ж")


def exception():
    kinds = {"plain": lambda: raises(3), "key": lambda: {}["missing"], "none": lambda: (_ for _ in ()).throw(StopIteration),
             "os": lambda: open("/nonexistent/file"), "many": lambda: (_ for _ in ()).throw(ValueError("a", 2, None))}

    def handle(kind):
        try:
            kinds[kind]()
        except Exception:
            (lambda: stand_still())()

    handles = [threading.Thread(target=handle, args=(kind,), name="kind " + kind, daemon=True) for kind in kinds]
    global THREADS
    THREADS = len(handles)
    for thread in handles:
        thread.start()
    tell()


class Named:
    def __init__(self):
        self.password = "never"


def locals_():
    def outer(argument, *rest, keyword=None):
        free = "free ж"
        password = "hunter2"
        cycle = [1]; cycle.append(cycle)
        numbers = (0, 1, -1, 2**30, -2**62, 2**100, -2**119, 2**500, True, False)
        floats = [1.0, -0.5, 1e300, float("inf")]
        texts = ["a'b", "line\n", "\U0002000b", "", b"\x00by'te", b""]
        settings = {"api_key": "k", "csrf": 1, "debug": None, 3: (4,), "nested": {"token": 1, "x": [1, 2, {}]}}
        headers = {b"password": b"hunter2", b"host": 1}
        pairs = [("token", "hunter2"), (b"api_key", 1), ("token", 1, 2), ("a", 1)]
        empty = ((), [], {}, set(), {1, 2})
        long_list = list(range(100000))
        long_text = "x" * 100000
        thing = Named()
        kind = int
        unset = 1
        del unset

        def inner():
            return stand_still(), free, argument

        return inner()

    threading.Thread(target=outer, args=("first", 2, 3), kwargs={"keyword": "url://ann:pw@host/"}, daemon=True,
                     name="ж local").start()
    tell()


def gil():
    # PyDLL keeps the GIL over the call.
    read, write = os.pipe()
    buffer = ctypes.create_string_buffer(1)
    function = ctypes.PyDLL(None).read
    say(threads=[])
    function(read, buffer, 1)


if SCENARIO == "gil":
    for _ in range(THREADS - 1):
        _thread.start_new_thread(stand_still, ())
    while len(arrived) < THREADS - 1:
        gate.acquire(True, 0.001)
    gil()
elif SCENARIO in ("busy", "subinterpreter", "nested", "exception", "locals"):
    {"busy": busy, "subinterpreter": subinterpreter, "nested": nested, "exception": exception, "locals": locals_}[SCENARIO]()
else:
    run_threads({
        "nest": nest, "text": text, "coroutines": coroutines, "recursion": recursion, "dropped": dropped,
        "collecting": collecting,
    }[SCENARIO])
