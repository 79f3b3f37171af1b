"""Keeps what it catches; or calls an extension that mixes up threads."""

import ctypes
import os
import threading

kept = []
library = ctypes.CDLL(os.environ["GROWS_LIBRARY"]) if "GROWS_LIBRARY" in os.environ else None


class Boom(Exception):
    pass


def fail(depth):
    payload = bytearray(40_000)
    if depth:
        fail(depth - 1)
    raise Boom(len(payload))


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/keep":
        for _ in range(60):
            try:
                fail(3)
            except Boom as error:
                kept.append(error)
    elif path == "/mix":
        library.granite_test_begin()
        thread = threading.Thread(target=library.granite_test_check, args=(50,))
        thread.start()
        thread.join()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getpid()]
