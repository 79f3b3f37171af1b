"""Requests that end their worker, or keep it from ending, in ways that the Flask sample has no use for."""

import ctypes
import os
import sys
import threading


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/sleep":
        os.write(2, b"asleep\n")
        threading.Event().wait()
    if path.startswith("/last-words/"):
        os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\nlast words, no line feed")
        if path.endswith("crash"):
            ctypes.string_at(0)
        os._exit(7)
    if path == "/system-exit-in-body":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return body()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"up\n"]


def body():
    yield b"begun\n"
    sys.exit(3)
