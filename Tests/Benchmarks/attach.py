#!/usr/bin/env python3
"""How long a process stands still while its stacks are written: granite-crash attach, eu-stack and gdb on the same process.

  Tests/Benchmarks/attach [--threads 1,20,100] [--rounds 7] [--build release] [--python]

The process itself measures: one thread of it reads the clock without end, and what it finds between two readings is how long it stood
still; the longest gap of a run counts. All threads wait ten frames deep in nanosleep. With --python the process is a python3 with that
many threads, whose clock is read by a library function. `whole` is the tool's time from start to end.
"""
import argparse, atexit, os, shutil, signal, statistics, subprocess, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))

TICKER = """
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
static volatile uint64_t longest;
static uint64_t now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }
static void *tick(void *path) {
    for (uint64_t last = now();;) {
        uint64_t next = now();
        if (next - last > longest) longest = next - last;
        last = next;
    }
    return path;
}
__attribute__((noinline)) static int nest(int depth) {
    if (depth) return nest(depth - 1) + 1;
    struct timespec day = {86400, 0};
    return nanosleep(&day, 0);
}
static void *work(void *argument) { nest(10); return argument; }
void begin(void) { pthread_t t; pthread_create(&t, 0, tick, 0); }
uint64_t take(void) { uint64_t found = longest; longest = 0; return found; }
int main(int count, char **arguments) {
    int threads = 0;
    if (count > 1) sscanf(arguments[1], "%d", &threads);
    for (int i = 1; i < threads; i++) { pthread_t t; pthread_create(&t, 0, work, 0); }
    begin();
    for (char line[16]; fgets(line, sizeof line, stdin);) { printf("%llu\\n", (unsigned long long)take()); fflush(stdout); }
}
"""

PYTHON = """
import ctypes, sys, threading, time
ticker = ctypes.CDLL(sys.argv[2]); ticker.take.restype = ctypes.c_uint64
def nest(depth): time.sleep(86400) if depth == 0 else nest(depth - 1)
for _ in range(int(sys.argv[1]) - 1): threading.Thread(target=nest, args=(10,), daemon=True).start()
ticker.begin()
for line in sys.stdin: print(ticker.take(), flush=True)
"""


def median(values):
    return f"{statistics.median(values):10.2f}{min(values):10.2f}{max(values):10.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", default="1,20,100")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--build", default="release")
    parser.add_argument("--python", action="store_true")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="granite-benchmark-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with open(f"{folder}/ticker.c", "w") as source:
        source.write(TICKER)
    subprocess.run(["cc", "-O1", "-g", "-pthread", "-o", f"{folder}/ticker", f"{folder}/ticker.c"], check=True)
    subprocess.run(["cc", "-O1", "-g", "-pthread", "-shared", "-fPIC", "-o", f"{folder}/ticker.so", f"{folder}/ticker.c"], check=True)
    program = os.path.join(HERE, "../../.build", options.build, "granite-crash")
    tools = {"granite-crash": lambda pid: [program, "attach", str(pid), "--json", "--crash-dir", f"{folder}/crashes"]}
    if shutil.which("eu-stack"):
        tools["eu-stack"] = lambda pid: ["eu-stack", "-p", str(pid)]
    if shutil.which("gdb"):
        tools["gdb"] = lambda pid: ["gdb", "-batch", "-nx", "-p", str(pid), "-ex", "thread apply all bt"]
    print(f"{options.build} build, {os.cpu_count()} processors, {options.rounds} rounds, {'python3' if options.python else 'C'}; milliseconds")
    print(f"{'':22}{'held':>10}{'least':>10}{'most':>10}{'whole':>10}{'least':>10}{'most':>10}")
    for count in [int(word) for word in options.threads.split(",")]:
        command = ["python3", "-c", PYTHON, str(count), f"{folder}/ticker.so"] if options.python else [f"{folder}/ticker", str(count)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        def longest():
            process.stdin.write("\n")
            process.stdin.flush()
            return int(process.stdout.readline()) / 1e6
        longest()
        time.sleep(0.5)
        found = {name: ([], []) for name in tools}
        nothing = []
        try:
            for _ in range(options.rounds):
                longest()
                time.sleep(0.3)
                nothing.append(longest())
                for name, command in tools.items():
                    longest()
                    start = time.monotonic()
                    done = subprocess.run(command(process.pid), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                    found[name][1].append((time.monotonic() - start) * 1000)
                    found[name][0].append(longest())
                    # eu-stack ends with 1 where a frame has no symbol.
                    if done.returncode not in (0, 1) or name == "granite-crash" and done.returncode:
                        raise SystemExit(f"{name}: {done.stderr.decode(errors='replace')}")
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        print(f"{count:4} threads, no tool {median(nothing)}")
        for name, (held, whole) in found.items():
            print(f"{count:4} {name:17}{median(held)}{median(whole)}")


if __name__ == "__main__":
    main()
