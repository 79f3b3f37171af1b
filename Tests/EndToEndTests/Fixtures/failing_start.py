"""An application that does not come up, in the way that FAILING_START names."""

import ctypes
import os
import sys
import threading

way = os.environ.get("FAILING_START", "")
print(f"about to {way}", file=sys.stderr)

if way == "import-error":
    import a_module_that_nobody_has
elif way == "exit":
    sys.exit(7)
elif way == "os-exit":
    os._exit(7)
elif way == "crash":
    ctypes.string_at(0)
elif way == "hang":
    threading.Event().wait()


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"up\n"]
