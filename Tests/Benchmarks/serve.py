#!/usr/bin/env python3
"""Requests per second of several servers, interleaved in one run, as medians and ratios to one of them.

  Tests/Benchmarks/serve peers               granite beside Granian (tuned and default), Gunicorn, uWSGI
  Tests/Benchmarks/serve levels              GRANITE_BACKTRACE=full beside off
  Tests/Benchmarks/serve peers --connections 1,4,8,32,64 --loads hello,flask --rounds 5 --seconds 3

The machine is noisy: quote medians and ratios of one run, never an absolute figure. Rounds rotate the order.
`granian-tuned` is --blocking-threads 1, the honest rival: ratios are to it.
"""
import argparse, json, os, re, shlex, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

import psutil

HERE = os.path.dirname(os.path.abspath(__file__))
APPS = os.path.join(HERE, "apps")
BIN = os.path.dirname(sys.executable)
GRANITE = os.path.join(HERE, "../../.build/release/granite") + " serve {app} --port {port} --workers {workers} --python " + sys.executable
LOADS = {  # name: (app, path, wrk script)
    "hello": ("bench_plain:app", "/", None),
    "big64k": ("bench_plain:app", "/big", None),
    "echo4k": ("bench_plain:app", "/echo", "bench_post4k.lua"),
    "flask": ("bench_flask:app", "/", None),
    "flask_json": ("bench_flask:app", "/json", None),
}
GRANIAN = BIN + "/granian --interface wsgi --http 1 --no-ws --no-log --workers {workers} --port {port} {app}"
GUNICORN = BIN + "/gunicorn -k gthread --threads 32 --keep-alive 5 --log-level error -w {workers} -b 127.0.0.1:{port} {app}"
UWSGI = (BIN + "/uwsgi --http11-socket 127.0.0.1:{port} --add-header 'Connection: keep-alive' --master --processes {workers}"
         " --threads 64 --enable-threads --disable-logging --listen 128 --die-on-term --module {app}")
SETS = {  # name: (base of the ratios, {server: command})
    "peers": ("granian-tuned", {
        "granite": GRANITE, "granian-tuned": GRANIAN + " --blocking-threads 1", "granian": GRANIAN, "gunicorn-gthread": GUNICORN,
        "uwsgi": UWSGI}),
    "levels": ("granite-off", {"granite-off": GRANITE + " --backtrace off", "granite-full": GRANITE + " --backtrace full"}),
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def first_answer(port, process, limit=30):
    start = time.time()
    while time.time() - start < limit and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 0.5) as s:
                s.settimeout(2)
                s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if s.recv(64).startswith(b"HTTP/1."):
                    return time.time() - start
        except OSError:
            pass
        time.sleep(0.01)


def millis(text):
    n = float(re.match(r"[\d.]+", text)[0])
    return n / 1000 if text.endswith("us") else n if text.endswith("ms") else n * 1000


def tree(pid):
    root = psutil.Process(pid)
    return [root] + root.children(recursive=True)


def cpu_seconds(pid):
    return sum(sum(p.cpu_times()[:2]) for p in tree(pid))


def measure(command, workers, connections, load, seconds):
    app, path, script = LOADS[load]
    port = free_port()
    argv = shlex.split(command.format(app=app, port=port, workers=workers))
    crashes = {"GRANITE_CRASH_DIR": tempfile.mkdtemp(prefix="granite-benchmark-")}
    p = subprocess.Popen(argv, cwd=APPS, env=os.environ | crashes, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        started = first_answer(port, p)
        if started is None:
            return None
        before = cpu_seconds(p.pid)
        out = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *(["-s", f"{APPS}/{script}"] if script else []),
             f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True).stdout
        n = int(re.search(r"(\d+) requests in", out)[1])
        bad = re.search(r"Non-2xx[^:]*: (\d+)|Socket errors: (.*)", out)
        return dict(
            rps=float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), p50=millis(re.search(r"\s50%\s+(\S+)", out)[1]),
            p99=millis(re.search(r"\s99%\s+(\S+)", out)[1]), cpu_us=(cpu_seconds(p.pid) - before) / n * 1e6, start_ms=started * 1000,
            rss_mb=max(c.memory_info().rss for c in tree(p.pid)) / 2**20, bad=bad and bad[0])
    finally:
        p.send_signal(signal.SIGTERM)
        try:
            p.wait(8)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()
        shutil.rmtree(crashes["GRANITE_CRASH_DIR"], ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", default="1")
    parser.add_argument("--connections", default="32")
    parser.add_argument("--loads", default=",".join(LOADS))
    parser.add_argument("--only", help="servers, separated by commas")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args()
    base, servers = SETS[options.set]
    if options.only:
        servers = {name: command for name, command in servers.items() if name in options.only.split(",") or name == base}
    rows = []
    plan = [(int(w), int(c), load) for w in options.workers.split(",") for c in options.connections.split(",") for load in options.loads.split(",")]
    for workers, connections, load in plan:
        runs = {name: [] for name in servers}
        for turn in range(options.rounds):
            names = list(servers)
            for name in names[turn % len(names):] + names[:turn % len(names)]:
                runs[name].append(measure(servers[name], workers, connections, load, options.seconds))
        print(f"\n{load}, {workers} worker(s), {connections} connections, median of {options.rounds}, load average {os.getloadavg()[0]:.1f}")
        print(f'{"server":18}{"rps":>9}{"/base":>8}{"min":>7}{"max":>7}{"p50 ms":>8}{"p99 ms":>8}{"cpu us":>8}{"start ms":>9}{"rss MB":>8}')
        for name, results in runs.items():
            good = [x for x in results if x]
            if not good:
                print(f"{name:18} did not start")
                continue
            middle = {k: statistics.median(x[k] for x in good) for k in ("rps", "p50", "p99", "cpu_us", "start_ms", "rss_mb")}
            pairs = sorted(a["rps"] / b["rps"] for a, b in zip(results, runs[base]) if a and b) or [float("nan")]
            ratio = statistics.median(pairs)
            bad = [x["bad"] for x in good if x["bad"]]
            print(f'{name:18}{middle["rps"]:9.0f}{ratio:8.2f}{pairs[0]:7.2f}{pairs[-1]:7.2f}{middle["p50"]:8.2f}{middle["p99"]:8.2f}'
                  f'{middle["cpu_us"]:8.1f}{middle["start_ms"]:9.0f}{middle["rss_mb"]:8.1f} {bad[:1] or ""}', flush=True)
            rows.append(dict(load=load, workers=workers, connections=connections, server=name, ratio=ratio, bad=bad, **middle))
    if options.json:
        with open(options.json, "w") as out:
            json.dump(rows, out, indent=1)


if __name__ == "__main__":
    main()
