#!/usr/bin/env python3
"""What a crash costs: fault to death and fault to complete report, beside gdb's and eu-stack's time on the same process.

  Tests/Benchmarks/crash [--threads 100] [--rounds 9]

Granite: a worker of `granite serve` with that many idle Python threads gets a null pointer through ctypes. `fault` is when the handler
was entered (the report's time), `dead` when the supervisor logged the end, `report` when it logged the respawn with the stored report.
Peers: gdb -batch and eu-stack write all threads of an equal process, alive and stopped, since neither can catch the fault itself; their
time is from start to end of the tool.
"""
import argparse, json, os, re, shutil, signal, statistics, subprocess, sys, tempfile, time, urllib.request
from datetime import datetime

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.join(HERE, "../../.build/release")


def events(log, name):
    found = []
    try:
        with open(log, errors="replace") as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if event.get("event") == name:
                    found.append(event)
    except FileNotFoundError:
        pass
    return found


def wait_for(log, name, count, limit=60):
    end = time.time() + limit
    while time.time() < end:
        found = events(log, name)
        if len(found) >= count:
            return found[count - 1]
        time.sleep(0.01)
    raise SystemExit(f"no {name} number {count} in {log}:\n{open(log).read()[-3000:]}")


def seconds(stamp):
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def milliseconds(values):
    middle = statistics.median(values) * 1000
    return f"{middle:9.1f}{min(values) * 1000:9.1f}{max(values) * 1000:9.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="granite-benchmark-")
    log, crashes = f"{folder}/log", f"{folder}/crashes"
    server = subprocess.Popen(
        [f"{BIN}/granite", "serve", "crash_app:app", "--chdir", f"{HERE}/apps", "--workers", "1", "--port", "0", "--python", sys.executable,
         "--log-format", "json", "--log-file", log, "--crash-dir", crashes, "--respawn-interval", "0.05", "--backtrace", "full"],
        env=os.environ | {"GRANITE_BENCHMARK_THREADS": str(options.threads)})
    try:
        wait_for(log, "worker.ready", 1)
        port = wait_for(log, "server.started", 1)["port"]
        url = f"http://127.0.0.1:{port}"
        dead, held, stored, gdb, eu = [], [], [], [], []
        threads = frames = eu_frames = eu_threads = 0
        for turn in range(options.rounds):
            pid = wait_for(log, "worker.ready", turn + 1)["worker"]["pid"]
            urllib.request.urlopen(url + "/", timeout=20).read()
            for times, command in ((eu, ["eu-stack", "-i", "-s", "-p", str(pid)]), (gdb, ["gdb", "-batch", "-nx", "-ex", "thread apply all bt", "-p", str(pid)])):
                if not shutil.which(command[0]):
                    continue
                start = time.perf_counter()
                subprocess.run(command, capture_output=True, env=os.environ | {"DEBUGINFOD_URLS": ""})
                times.append(time.perf_counter() - start)
            if eu:  # the frames of the idle threads, without inlined functions, to compare the unwinding alone
                out = subprocess.run(["eu-stack", "-q", "-p", str(pid)], capture_output=True, text=True).stdout
                stacks = [len(re.findall(r"^#\d", stack, re.M)) for stack in out.split("TID ")[1:]]
                eu_threads, eu_frames = len(stacks), sum(stacks[1:])
            try:
                urllib.request.urlopen(url + "/crash", timeout=20).read()
            except (OSError, urllib.error.URLError):
                pass
            respawned = wait_for(log, "worker.respawned", turn + 1)
            path = respawned["crash"]["report"]
            report = json.load(open(path))
            fault = seconds(report["time"])
            held.append(sum(step["us"] for step in report["capture"]["durations_us"] if not step["name"].startswith("collector")) / 1e6)
            dead.append(seconds(wait_for(log, "worker.exited", turn + 1)["time"]) - fault)
            stored.append(seconds(respawned["time"]) - fault)
            threads = len(report["threads"])
            frames = sum(1 for t in report["threads"] if not t.get("crashed")
                         for f in t.get("frames", []) if f["kind"] == "native" and not f.get("inlined"))
        print(f"{options.threads} idle Python threads in the worker, {options.rounds} crashes; milliseconds\n")
        print(f'{"":34}{"median":>9}{"min":>9}{"max":>9}')
        print(f'{"granite: held by the handler":34}{milliseconds(held)}')
        print(f'{"granite: fault to dead":34}{milliseconds(dead)}')
        print(f'{"granite: fault to stored report":34}{milliseconds(stored)}   {threads} threads, {frames} native frames in the uncrashed')
        if eu:
            print(f'{"eu-stack -i -s, all threads":34}{milliseconds(eu)}   {eu_threads} threads, {eu_frames} frames but the main thread\'s')
        if gdb:
            print(f'{"gdb -batch, thread apply all bt":34}{milliseconds(gdb)}')
        ratios = [(name, statistics.median(times) / statistics.median(stored)) for name, times in (("eu-stack", eu), ("gdb", gdb)) if times]
        print("\n" + ", ".join(f"{name} takes {ratio:.1f} times as long" for name, ratio in ratios))
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
