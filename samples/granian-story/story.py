"""The story that Granite was made for, from beginning to end, in one run on this machine:

1. Granian 2.0.1 serves the shop, by itself and under `granite-crash run`, turn by turn, under the same load.
2. What the report says, and what watching cost: the rate of requests and the memory beside those of the bare runs.
3. The same shop under `granite serve`.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
UNSENDABLE = re.compile(rb"is unsendable, but is being dropped on another thread")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
            return b" 200 " in client.recv(64)
    except OSError:
        return False


def descendants(root):
    """The process and all below it, from one look at /proc."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def resident(pid):
    try:
        return int(pathlib.Path("/proc", str(pid), "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 0


def program(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


class Server:
    """A server with its log in a file, its worker's memory sampled ten times a second."""

    def __init__(self, command, port, folder, name, environment=None):
        self.port = port
        self.log = folder / f"{name}.log"
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(
                command, cwd=HERE, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, **(environment or {})})
        self.samples = []
        self.capture_peak = 0
        self.stopping = threading.Event()
        self.sampler = threading.Thread(target=self.sample, daemon=True)

    def __enter__(self):
        deadline = time.monotonic() + 30
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                sys.exit(f"The server does not answer. Its log:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        self.sampler.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def sample(self):
        while not self.stopping.wait(0.1):
            pids = descendants(self.process.pid)
            own = [pid for pid in pids if program(pid) == "granite-crash"]
            # The largest is the worker. What granite-crash takes itself (run, and the guardian that makes the reports) is told apart.
            self.samples.append(max((resident(pid) for pid in pids if pid not in own), default=0))
            self.capture_peak = max(self.capture_peak, sum(resident(pid) for pid in own))

    def stop(self):
        self.stopping.set()
        if self.sampler.is_alive():
            self.sampler.join()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                for pid in reversed(descendants(self.process.pid)):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                self.process.wait()

    @property
    def complaints(self):
        return len(UNSENDABLE.findall(self.log.read_bytes()))


def load(port, seconds):
    """Requests a second, and how many were not answered with 2xx."""
    output = subprocess.run(
        ["wrk", "-t1", "-c32", f"-d{seconds}s", f"http://127.0.0.1:{port}/order"],
        check=True, capture_output=True, text=True).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1)), int(failed.group(1)) if failed else 0


def megabytes(count):
    return f"{count / 1e6:,.0f} MB"


def round_trip(command, folder, name, seconds, environment=None):
    port = free_port()
    with Server([*command(port)], port, folder, name, environment) as server:
        rate, failed = load(port, seconds)
    return {"rate": rate, "failed": failed, "first": server.samples[0] if server.samples else 0,
            "peak": max(server.samples, default=0), "capture": server.capture_peak, "complaints": server.complaints}


def line(name, result, note=""):
    print(f"  {name:<28}{result['rate']:>9,.0f} requests/s {result['complaints']:>7,} complaints   "
          f"{megabytes(result['first']):>7} → {megabytes(result['peak']):<8}{note}", flush=True)


def reports(crash_dir):
    return [json.loads(path.read_text()) for path in sorted(pathlib.Path(crash_dir).glob("*.json"))]


def lacks(report):
    """What the report does not say of the story."""
    site = report.get("drop_site") or {}
    frames = [frame for thread in report.get("threads", [])[:1] for frame in thread.get("frames", [])]
    parts = {
        "its type": "WSGIProtocol" in json.dumps(site),
        "the thread that owns it": site.get("owner_tid"),
        "the thread that dropped it": any(thread.get("crashed") for thread in report.get("threads", [])),
        "the garbage collection": site.get("collector") == "running",
        "native frames inside _granian": any("_granian" in (frame.get("module") or "") for frame in frames),
        "Python frames of the application": any(
            frame["kind"] == "python" and (frame.get("file") or "").endswith("app.py") for frame in frames),
    }
    return [part for part, is_there in parts.items() if not is_there]


def best(found):
    """The report that says most, of those that name the type."""
    named = [report for report in found if "its type" not in lacks(report)]
    # Of equals one that names the cycle.
    return min(named, key=lambda report: (len(lacks(report)), not report["drop_site"].get("held_by")), default=None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=pathlib.Path, help="folder of granite and granite-crash")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of load in each run")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    granite, granite_crash = options.bin / "granite", options.bin / "granite-crash"
    environment_folder = pathlib.Path(sys.prefix)
    granian = environment_folder / "bin" / "granian"

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        crash_dir = folder / "crashes"

        def bare(port):
            return [granian, "--interface", "wsgi", "--workers", "1", "--port", str(port), "app:app"]

        def watched(port):
            return [granite_crash, "run", "--crash-dir", crash_dir, "--", *bare(port)]

        print(f"Granian 2.0.1, one worker, wrk with 32 connections for {options.seconds} s", flush=True)
        without, under = [], []
        for number in range(options.rounds):
            # Turn by turn, and each first in every other round: the machine's other work falls on both alike.
            for which in ((bare, watched) if number % 2 == 0 else (watched, bare)):
                result = round_trip(which, folder, f"{which.__name__}-{number}", options.seconds)
                (without if which is bare else under).append(result)
                line("by itself" if which is bare else "under granite-crash run", result)
        rates = [b["rate"] / a["rate"] for a, b in zip(without, under)]
        peaks = [b["peak"] / a["peak"] for a, b in zip(without, under) if a["peak"]]
        rate, peak = statistics.median(rates), statistics.median(peaks)
        print(f"  watched to bare, median (min–max): rate {rate:.2f} ({min(rates):.2f}–{max(rates):.2f}), "
              f"peak memory of the worker {peak:.2f} ({min(peaks):.2f}–{max(peaks):.2f}); "
              f"granite-crash itself: {megabytes(max(result['capture'] for result in under))}", flush=True)

        found = reports(crash_dir)
        report = best(found)
        if report is None:
            sys.exit("No report names WSGIProtocol: the load may have been too small. Try --seconds 8.")
        missing = lacks(report)
        print(f"\n$ granite-crash show {report['id']}", flush=True)
        subprocess.run([granite_crash, "show", "--crash-dir", crash_dir, report["id"]], check=True)

        print("\nThe same shop under granite serve", flush=True)

        def served(port):
            return [granite, "serve", "app:app", "--port", str(port), "--workers", "1", "--crash-dir",
                    folder / "granite-crashes"]

        result = round_trip(served, folder, "granite", options.seconds, {"VIRTUAL_ENV": str(environment_folder)})
        line("granite serve", result)
        left = len(reports(folder / "granite-crashes"))
        print(f"  {result['failed']} failed requests, {left} reports", flush=True)
        doubts = [f"the best report lacks {part}" for part in missing]
        if rate < 0.95:
            doubts.append(f"watching cost {1 - rate:.0%} of the requests (more rounds tell noise from cost: --rounds 9)")
        if peak > 1.1:
            doubts.append(f"the watched worker took {peak:.2f} times the memory")
        if result["complaints"] or left or result["failed"]:
            doubts.append("granite serve had something to report")
        if result["peak"] > 1.5 * result["first"]:
            doubts.append("granite serve's memory grew")
        if doubts:
            sys.exit("Not as it should be: " + "; ".join(doubts) + ".")
        print("As it should be: the report has both sides, and watching cost next to nothing.")


if __name__ == "__main__":
    main()
