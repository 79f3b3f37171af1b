"""Idle threads, and a null pointer under three Python calls."""
import ctypes
import os
import threading


def idle(event):
    event.wait()


for number in range(int(os.environ.get("GRANITE_BENCHMARK_THREADS", "100"))):
    threading.Thread(target=idle, args=(threading.Event(),), name=f"idle-{number}", daemon=True).start()


def read(address):
    return ctypes.string_at(address)


def app(environ, start_response):
    if environ["PATH_INFO"] == "/crash":
        read(0)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
