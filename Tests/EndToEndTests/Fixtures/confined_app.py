"""Twenty idle threads, and a null pointer under two Python calls."""
import ctypes
import os
import threading

PR_SET_DUMPABLE = 4
begun = threading.Semaphore(0)


def idle(event):
    begun.release()
    event.wait()


for number in range(20):
    threading.Thread(target=idle, args=(threading.Event(),), daemon=True).start()
for number in range(20):
    begun.acquire()
if os.environ.get("CONFINED_APP_NOT_DUMPABLE"):
    assert ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0) == 0


def read_name(address):
    return ctypes.string_at(address)


def app(environ, start_response):
    if environ["PATH_INFO"] == "/crash":
        read_name(0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok\n"]
