"""Twenty idle threads, and a null pointer that a Flask view hands to C. Run as a program it serves that one request to itself."""
import ctypes
import sys
import threading
import time

from flask import Flask

app = Flask(__name__)


def idle(event):
    event.wait()


for number in range(20):
    threading.Thread(target=idle, args=(threading.Event(),), name=f"idle-{number}", daemon=True).start()


def read_name(address):
    return ctypes.string_at(address)


def look_up_customer(address):
    return {"name": read_name(address)}


@app.route("/")
def index():
    return "ok"


@app.route("/crash")
def crash():
    return look_up_customer(address=0)


if __name__ == "__main__":
    from werkzeug.test import EnvironBuilder

    environ = EnvironBuilder(path="/crash").get_environ()
    print(f"fault at {time.monotonic_ns()}", file=sys.stderr, flush=True)
    app(environ, lambda status, headers, exc_info=None: None)
