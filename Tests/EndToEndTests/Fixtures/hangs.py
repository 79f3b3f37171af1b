"""A WSGI app whose routes do not end, or only after a while, each in its own way."""

import ctypes
import os
import re
import socket
import sys
import threading
import time
from urllib.parse import parse_qs

LOCK = threading.Lock()
LOCK.acquire()


def wait_for_lock():
    LOCK.acquire()


def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def hold_gil(seconds):
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))  # PyDLL keeps the GIL


def backtrack():
    re.match(r"(a+)+$", "a" * 40 + "b")


def receive():
    left, right = socket.socketpair()
    left.recv(1)
    right.close()


def sleep(seconds):
    print("asleep", file=sys.stderr, flush=True)
    time.sleep(seconds)


def measured(function, seconds):
    begin = time.monotonic()
    function(seconds)
    return "%.3f" % (time.monotonic() - begin)


def select_for(seconds):
    import select
    select.select([], [], [], seconds)


def receive_for(seconds):
    left, right = socket.socketpair()
    timer = threading.Timer(seconds, right.send, (b"x",))
    timer.start()
    assert left.recv(1) == b"x"
    timer.join()


def child_for(seconds):
    import subprocess
    assert subprocess.run(["sleep", str(seconds)]).returncode == 0


def app(environ, start_response):
    seconds = float(parse_qs(environ["QUERY_STRING"]).get("s", ["3600"])[0])
    path = environ["PATH_INFO"]
    body = "ok"
    if path == "/sleep":
        sleep(seconds)
    elif path == "/spin":
        spin(seconds)
    elif path == "/gil":
        hold_gil(seconds)
    elif path == "/regex":
        backtrack()
    elif path == "/lock":
        wait_for_lock()
    elif path == "/recv":
        receive()
    elif path == "/measured":
        parts = [time.sleep, select_for, receive_for, child_for]
        body = " ".join(measured(part, seconds) for part in parts)
    elif path == "/pid":
        body = str(os.getpid())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode()]
