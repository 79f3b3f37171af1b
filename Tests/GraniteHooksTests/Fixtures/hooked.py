"""Puts the capture and the hooks into this interpreter, and writes the page at the end. The tests' scripts import it."""
import atexit, ctypes, os, sys

library = ctypes.PyDLL(os.environ["GRANITE_TEST_PRELOAD"])
library.granite_hooks_install.restype = ctypes.c_bool
library.granite_capture_page.restype = ctypes.c_void_p


class Options(ctypes.Structure):
    _fields_ = [("page_fd", ctypes.c_int), ("memory_socket", ctypes.c_int), ("level", ctypes.c_uint32),
                ("park_deadline_ms", ctypes.c_uint32), ("serve_deadline_ms", ctypes.c_uint32),
                ("stack_bytes", ctypes.c_size_t), ("crashed_stack_bytes", ctypes.c_size_t)]


def install():
    return library.granite_hooks_install()


def write_page(path):
    """The fixed part of the page. Its length is the fourth word of it."""
    address = library.granite_capture_page()
    length = ctypes.c_uint32.from_address(address + 12).value
    with open(path, "wb") as file:
        file.write(ctypes.string_at(address, length))


if library.granite_capture_install(ctypes.byref(Options(page_fd=-1, memory_socket=-1, level=2))) != 0:
    sys.exit("the capture could not be installed")
for name in os.environ.get("GRANITE_TEST_IMPORT", "").split():
    __import__(name)
assert install()
# Written at the end: after sys.excepthook, before the interpreter ends.
atexit.register(write_page, os.environ["GRANITE_TEST_PAGE"])
