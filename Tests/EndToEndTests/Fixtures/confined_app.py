"""Twenty idle threads, and a null pointer under two Python calls."""
import ctypes
import os
import threading

PR_SET_DUMPABLE = 4
CLONE_NEWNS = 0x20000
MS_REC_PRIVATE = 0x44000
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


def lose_proc():
    """This thread, the one that will crash, finds nothing in /proc any more. Needs root."""
    libc = ctypes.CDLL(None)
    assert libc.unshare(CLONE_NEWNS) == 0
    assert libc.mount(None, b"/", None, MS_REC_PRIVATE, None) == 0
    assert libc.mount(b"none", b"/proc", b"tmpfs", 1, None) == 0
    assert not os.listdir("/proc")


def app(environ, start_response):
    if environ["PATH_INFO"] == "/crash-without-proc":
        lose_proc()
        read_name(0)
    if environ["PATH_INFO"] == "/crash":
        read_name(0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok\n"]
