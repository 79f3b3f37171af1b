"""A Flask app with good routes and routes that end the worker, each in its own way.

    granite serve --chdir samples/flask app:app

Every crash is one that real code meets: a null pointer handed to C, an abort, recursion through C, an exit
deep inside a request, a kill from outside, an object whose __del__ raises while the garbage collector runs.
"""

import ctypes
import gc
import os
import resource
import signal
import sys
import threading

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/")
def index():
    return "Hello, World!\n"


@app.get("/json")
def json_answer():
    return jsonify(message="Hello, World!", ok=True)


@app.post("/echo")
def echo():
    return request.get_data(), 200, {"Content-Type": "application/octet-stream"}


# --- a null pointer, two Python calls below the view ---------------------------------------------------------

def read_name(address):
    return ctypes.string_at(address)


def look_up_customer(address):
    return {"name": read_name(address)}


@app.get("/crash/null")
def crash_null():
    customer = look_up_customer(address=0)
    return jsonify(customer)


# --- abort(3), as a failed assertion in a C library would ----------------------------------------------------

@app.get("/crash/abort")
def crash_abort():
    ctypes.CDLL(None).abort()


# --- recursion through C: Python -> ctypes -> libffi -> Python -> ... ----------------------------------------

SMALL_STACK = 512 * 1024  # CPython 3.12 and later count C calls and stop at some thousand: this stack ends before that


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
def descend(depth):
    return descend(depth + 1)


@app.get("/crash/overflow")
def crash_overflow():
    sys.setrecursionlimit(10**9)
    resource.setrlimit(resource.RLIMIT_STACK, (SMALL_STACK, resource.getrlimit(resource.RLIMIT_STACK)[1]))
    return str(descend(0))


@app.get("/crash/overflow-thread")
def crash_overflow_thread():
    sys.setrecursionlimit(10**9)
    threading.stack_size(SMALL_STACK)
    thread = threading.Thread(target=descend, args=(0,), name="recursion")
    thread.start()
    thread.join()
    return "unreachable\n"


# --- ends without any signal handler -------------------------------------------------------------------------

@app.get("/crash/exit")
def crash_exit():
    os._exit(7)


@app.get("/crash/kill")
def crash_kill():
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()


@app.get("/crash/signal")
def crash_signal():
    """A signal that the app sends to its own process: ?name=SIGTERM is an orderly stop, others are not."""
    os.kill(os.getpid(), signal.Signals[request.args.get("name", "SIGUSR2")])
    threading.Event().wait(0.5)
    return "survived\n"


@app.get("/crash/oom")
def crash_oom():
    """A request that hoards memory until the kernel's OOM killer ends the worker, or ?megabytes=512 are reached."""
    hoard = []
    for _ in range(int(request.args.get("megabytes", 512)) // 8):
        hoard.append(b"x" * (8 << 20))  # written to, so that it takes memory and not only addresses
        threading.Event().wait(0.1)
    return f"survived {len(hoard) * 8} MB\n"


# --- no death: what other servers end a worker for ------------------------------------------------------------

@app.get("/crash/sys-exit")
def crash_sys_exit():
    sys.exit(3)


# --- no crash: an object that is dropped on the wrong thread -------------------------------------------------

class Connection:
    """Belongs to the thread that opened it, and says so when it is closed elsewhere."""

    def __init__(self):
        self.owner = threading.get_ident()
        self.cycle = self  # only the cyclic garbage collector can free it

    def __del__(self):
        if threading.get_ident() != self.owner:
            raise RuntimeError("Connection is unsendable, but is being dropped on another thread")


def collect():
    gc.collect()


@app.get("/drop")
def drop():
    gc.disable()  # so that the other thread, and not this one, finds the cycle
    try:
        Connection()
        thread = threading.Thread(target=collect, name="janitor")
        thread.start()
        thread.join()
    finally:
        gc.enable()
    return "still alive\n"
