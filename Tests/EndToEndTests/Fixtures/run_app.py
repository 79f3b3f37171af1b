"""A WSGI application of no framework: / answers with the pid, /crash dies in C code that was given a null pointer."""

import ctypes
import os


def native_crash():
    return ctypes.string_at(0)


def application(environ, start_response):
    body = native_crash() if environ["PATH_INFO"] == "/crash" else str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
