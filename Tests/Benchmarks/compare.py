#!/usr/bin/env python3
"""The same crashes, each reported by every tool that can: what is in the report, and how long it took from the fault.

  Tests/Benchmarks/compare [--rounds 5] [--only CASE …] [--json] [--keep FOLDER]

All programs are release builds. How each tool comes to its report, and what is timed (median of the rounds):

  granite          one collector serves all rounds. Fault (the handler's first line) to the moment the supervisor hears of the stored
                   report. The Flask crash runs in a worker of `granite serve --backtrace full`.
  swift-backtrace  SWIFT_BACKTRACE=enable=yes,preset=full,interactive=no,color=no CrashProbe CASE --no-capture: fault to end of process.
  faulthandler     python -X faulthandler crash_flask.py: fault to end of process.
  gdb              gdb -batch -nx -ex 'thread apply all bt' -p PID
  eu-stack         eu-stack -i -s -p PID
  pystack          pystack remote --native-all PID
                   These three cannot catch a fault. The process is held at it by a preloaded handler (apps/hold.c), which costs them
                   nothing: no core is written, no debugger slows the program down, and only the tool itself is timed. The handler's own
                   frames are not counted.

Columns: frames of the crashed thread (native and Python; a folded recursion counts in full), threads with at least one frame, and of the
crashed thread: inlined functions, frames with file and line, Python frames. `–`: the tool does not do that; `no`: it made no report.
Not counted: the script's own <module> frame, which stands for the server, and lines of code that the compiler made up (thunks,
<compiler-generated>, the shims inlined into them), for which gdb shows a line of its neighbours.
"""
import argparse, collections, json, os, re, shutil, signal, statistics, subprocess, sys, tempfile, time, urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.realpath(f"{HERE}/../../.build/release")
sys.path.insert(0, HERE)
import crash  # noqa: E402  its ways to wait for events of a server's log

CASES = {
    "null-read": "a null pointer read in C",
    "swift-bounds": "a Swift trap: index out of range",
    "swift-overflow": "a Swift trap in inlined arithmetic",
    "abort": "abort(3)",
    "stack-overflow-main": "runaway recursion on the first thread",
    "stack-overflow-pthread": "runaway recursion on another thread",
    "threads-100": "a null pointer beside 100 sleeping threads",
    "flask": "a null pointer through ctypes in a Flask view, 20 Python threads",
}
COLUMNS = ["frames", "threads", "inlined", "lines", "python"]
SPEED = {"gdb": 4, "pystack": 3, "eu-stack": 1}
LIMIT = 180
# A tool that takes longer than so many milliseconds is not asked again.
PATIENCE = 20_000
GENERATED = re.compile(r"<compiler-generated>|/swift/shims/|T[RA]\b|\$main|\bthunk for\b")
# A debugger that asks the network for symbols would be timed with the network.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("GRANITE_", "SWIFT_BACKTRACE"))} | {"DEBUGINFOD_URLS": ""}
Found = collections.namedtuple("Found", COLUMNS)


def thread_of(frames):
    """frames: (function, has a line, is inlined, is Python) of the crashed thread."""
    frames = [f for f in frames if not (f[3] and "<module>" in f[0])]
    return {"frames": len(frames), "inlined": sum(f[2] for f in frames), "lines": sum(f[1] for f in frames),
            "python": sum(f[3] for f in frames)}


def below_handler(stacks, mark):
    """The stack that was interrupted, without the frames that hold it there; None if no stack was."""
    for stack in stacks:
        for index, frame in enumerate(stack):
            if mark in frame[0]:
                return stack[index + 1:]
    return None


def found(stacks, crashed):
    if not crashed:
        return None
    return Found(threads=sum(1 for s in stacks if s), **thread_of(crashed))


def read_gdb(text):
    stacks = []
    for part in re.split(r"^Thread \d+ ", text, flags=re.M)[1:]:
        stack, first = [], True
        for line in re.findall(r"^#\d+ +(.*)$", part, re.M):
            mark = "<signal handler called>" in line
            # Only the innermost of several functions at one address is shown with it.
            has_line = re.search(r" at \S+:\d+$", line) and not GENERATED.search(line)
            stack.append((line, bool(has_line), not line.startswith("0x") and not first and not mark, False))
            first = mark
        stacks.append(stack)
    return found(stacks, below_handler(stacks, "<signal handler called>"))


def read_eu(text):
    stacks = []
    for part in re.split(r"^TID \d+:$", text, flags=re.M)[1:]:
        raw = re.findall(r"^#\d+ +(0x[0-9a-f]+)(.*)\n((?:    .*\n)?)", part + "\n", re.M)
        # Inlined functions share the address of the function that they are in, which comes last; so does a recursion, with one name.
        stacks.append([(name, ":" in source and not GENERATED.search(name + source),
                        index + 1 < len(raw) and raw[index + 1][0] == address and raw[index + 1][1] != name, False)
                       for index, (address, name, source) in enumerate(raw)])
    return found(stacks, below_handler(stacks, "__restore_rt"))


def read_pystack(text):
    stacks = []
    for part in text.split("Traceback for thread ")[1:]:
        raw = re.findall(r'^ +\((C|Python)\) File "(.*?)", line (\d+), in (.*)$', part, re.M)
        stacks.append([(name, line != "0", "(inlined)" in name, kind == "Python") for kind, _, line, name in reversed(raw)])
    return found(stacks, below_handler(stacks, "__restore_rt"))


def read_swift(text):
    stacks, crashed = [], None
    for part in re.split(r"^Thread \d+", text, flags=re.M)[1:]:
        part = re.split(r"^(?:Registers|Images|Backtrace took)", part, flags=re.M)[0]
        lines = re.findall(r"^ *\d+ +((?:\[.*\] +)?0x[0-9a-f]+ .*)$", part, re.M)
        stack = [(line, bool(re.search(r" at \S+:\d+", line) and not GENERATED.search(line)), "[inlined]" in line, False) for line in lines]
        stacks.append(stack)
        if "crashed" in part.split("\n")[0]:
            crashed = stack
    return found(stacks, crashed)


def read_faulthandler(text):
    stacks, crashed = [], None
    for part in re.split(r"^(?=(?:Current thread|Thread) 0x)", text, flags=re.M)[1:]:
        stack = [(name, True, False, True) for name in re.findall(r'^  File ".*", line \d+ in (.*)$', part, re.M)]
        stacks.append(stack)
        if part.startswith("Current thread"):
            crashed = stack
    return found(stacks, crashed)


def read_granite(report):
    threads = report.get("threads", [])
    if not threads:
        return None
    stack = [(f.get("symbol", ""), "line" in f and not GENERATED.search(f.get("symbol", "") + f.get("file", "")), f.get("inlined", False), f["kind"] == "python") for f in threads[0].get("frames", [])]
    result = found([t.get("frames") for t in threads], stack)
    folded = threads[0].get("folded")
    if result and folded:
        cycle = thread_of(stack[folded["start"]:folded["start"] + folded["length"]])
        result = result._replace(**{k: getattr(result, k) + v * (folded["repeats"] - 1) for k, v in cycle.items()})
    return result


def crash_time(text):
    return int(re.search(r"fault at (\d+)", text).group(1)) / 1e9


def run_to_end(command, environment, read):
    """A tool within the process: its report is complete when the process is gone."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=ENVIRONMENT | environment, timeout=LIMIT)
    end = time.monotonic()
    text = done.stdout + done.stderr
    return text, read(text), (end - crash_time(text)) * 1000


def hold(command, folder):
    """Starts the program and waits until it is held at the fault."""
    errors = open(f"{folder}/stderr", "w+")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, stdin=subprocess.DEVNULL,
                               env=ENVIRONMENT | {"LD_PRELOAD": f"{folder}/hold.so", "SWIFT_BACKTRACE": "enable=no"})
    end = time.monotonic() + LIMIT
    while time.monotonic() < end and process.poll() is None:
        errors.seek(0)
        if "held\n" in errors.read():
            return process
        time.sleep(0.005)
    process.kill()
    process.wait()
    raise SystemExit(f"{command} was not held at its fault")


def run_beside(pid, tool):
    start = time.monotonic()
    try:
        done = subprocess.run(PEERS[tool][0](pid), capture_output=True, text=True, errors="replace", env=ENVIRONMENT, timeout=LIMIT)
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(errors="replace"), None, LIMIT * 1000
    milliseconds = (time.monotonic() - start) * 1000
    return done.stdout, PEERS[tool][1](done.stdout), milliseconds


def pystack():
    beside = os.path.join(os.path.dirname(sys.executable), "pystack")
    return beside if os.path.exists(beside) else shutil.which("pystack")


PEERS = {
    "gdb": (lambda pid: ["gdb", "-batch", "-nx", "-ex", "thread apply all bt", "-p", str(pid)], read_gdb),
    "eu-stack": (lambda pid: ["eu-stack", "-i", "-s", "-p", str(pid)], read_eu),
    "pystack": (lambda pid: [pystack(), "remote", "--native-all", str(pid)], read_pystack),
}


def granite_probe(names, rounds, folder):
    """All named crashes through one collector, by CrashStress."""
    command = [f"{BIN}/CrashStress", "--rounds", str(rounds), "--parallel", "1", "--json", "--keep", f"{folder}/reports"]
    matrix = f"{folder}/matrix.json"
    with open(matrix, "w") as file:  # what is right is the matrix test's business
        json.dump([{"case": n, "status": "SIGSEGV", "kind": "signal", "category": "", "frames": [], "reports": 1} for n in names], file)
    done = subprocess.run(command + ["--matrix", matrix], capture_output=True, text=True, env=ENVIRONMENT)
    rows = {row["case"]: row for row in json.loads(done.stdout)["cases"]}
    return {name: (open(f"{folder}/reports/{name}.json").read(), rows[name]["stored_ms"].get("p50")) for name in names}


def granite_flask(rounds, folder):
    log, crashes = f"{folder}/log", f"{folder}/crashes"
    server = subprocess.Popen(
        [f"{BIN}/granite", "serve", "crash_flask:app", "--chdir", f"{HERE}/apps", "--workers", "1", "--port", "0", "--python", sys.executable,
         "--log-format", "json", "--log-file", log, "--crash-dir", crashes, "--respawn-interval", "0.05", "--backtrace", "full"],
        env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        times = []
        for turn in range(rounds):
            crash.wait_for(log, "worker.ready", turn + 1)
            url = f'http://127.0.0.1:{crash.wait_for(log, "server.started", 1)["port"]}'
            urllib.request.urlopen(url + "/", timeout=20).read()
            try:
                urllib.request.urlopen(url + "/crash", timeout=20).read()
            except OSError:
                pass
            respawned = crash.wait_for(log, "worker.respawned", turn + 1)
            text = open(respawned["crash"]["report"]).read()
            times.append((crash.seconds(respawned["time"]) - crash.seconds(json.loads(text)["time"])) * 1000)
        return text, statistics.median(times)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()


def measure(name, rounds, folder, keep):
    """{tool: (what was found, milliseconds)} of the peers; None where a tool has nothing to do with the case."""
    is_python = name == "flask"
    program = [sys.executable, f"{HERE}/apps/crash_flask.py"] if is_python else [f"{BIN}/CrashProbe", name, "--no-capture", "--announce-fault"]
    outcomes = collections.defaultdict(list)
    for _ in range(rounds):
        if is_python:
            command = [program[0], "-X", "faulthandler"] + program[1:]
            outcomes["faulthandler"].append(run_to_end(command, {}, read_faulthandler))
        else:
            settings = "enable=yes,preset=full,interactive=no,color=no"
            outcomes["swift-backtrace"].append(run_to_end(program, {"SWIFT_BACKTRACE": settings}, read_swift))
        for tool in PEERS:
            if (tool == "pystack") != is_python and tool == "pystack" or not shutil.which(PEERS[tool][0](1)[0] or ""):
                continue
            if outcomes[tool] and outcomes[tool][-1][2] > PATIENCE:
                continue
            process = hold(program, folder)
            try:
                outcomes[tool].append(run_beside(process.pid, tool))
            finally:
                process.kill()
                process.wait()
    if keep:
        for tool, runs in outcomes.items():
            with open(f"{keep}/{name}.{tool}.txt", "w") as file:
                file.write(runs[-1][0])
    return {tool: (runs[-1][1], statistics.median(run[2] for run in runs)) for tool, runs in outcomes.items()}


def print_case(name, rows):
    best = {column: max((getattr(found, column) for found, _ in rows.values() if found), default=0) for column in COLUMNS}
    print(f"\n{name}: {CASES[name]}")
    print(f'  {"":17}{"report":>7}' + "".join(f"{column:>9}" for column in COLUMNS) + f'{"ms":>10}')
    for tool, (found, milliseconds) in rows.items():
        cells = f'{"yes" if found else "no":>7}'
        for column in COLUMNS:
            value = getattr(found, column) if found else 0
            cells += f'{f"{value}*" if value and value == best[column] else value or "–":>9}'
        print(f"  {tool:17}{cells}{milliseconds:10.1f}")


def verdicts(table):
    """What Granite has to show: first or equal in content, and faster by so much."""
    lines = []
    for name, rows in table.items():
        ours, ms = rows["granite"]
        for tool, (theirs, their_ms) in rows.items():
            for column in COLUMNS:
                if theirs and (not ours or getattr(theirs, column) > getattr(ours, column)):
                    lines.append(f"{name}: {tool} has {getattr(theirs, column)} {column}, granite {getattr(ours, column) if ours else 0}")
            if tool in SPEED and theirs and ms and their_ms < ms * SPEED[tool]:
                lines.append(f"{name}: {tool} takes {their_ms / ms:.1f} times as long as granite, {SPEED[tool]} is asked for")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", help="folder for the last output of each tool")
    options = parser.parse_args()
    if options.keep:
        os.makedirs(options.keep, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="granite-compare-")
    try:
        subprocess.run(["clang", "-shared", "-fPIC", "-O1", "-o", f"{folder}/hold.so", f"{HERE}/apps/hold.c", "-ldl"], check=True)
        ours = granite_probe([name for name in options.only if name != "flask"], options.rounds, folder)
        if "flask" in options.only:
            ours["flask"] = granite_flask(options.rounds, folder)
        table = {}
        if not options.json:
            print("Tests/Benchmarks/compare " + " ".join(sys.argv[1:]))
            print(f"median of {options.rounds}; * = the most that any tool found")
        for name in options.only:
            text, milliseconds = ours[name]
            if options.keep:
                with open(f"{options.keep}/{name}.granite.json", "w") as file:
                    file.write(text)
            table[name] = {"granite": (read_granite(json.loads(text)), milliseconds)} | measure(name, options.rounds, folder, options.keep)
            if not options.json:
                print_case(name, table[name])
                sys.stdout.flush()
        complaints = verdicts(table)
        if options.json:
            rows = {name: {tool: (found._asdict() if found else {}) | {"reported": bool(found), "ms": milliseconds}
                           for tool, (found, milliseconds) in rows.items()} for name, rows in table.items()}
            print(json.dumps({"rounds": options.rounds, "cases": rows, "behind": complaints}, indent=1))
        else:
            print("\nGranite is behind in:" if complaints else "\nGranite is first or equal everywhere, and as fast as asked for.")
            for line in complaints:
                print("  " + line)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
