"""Says hello to a guardian as the preloaded library does, after everything that a hostile process might say.

Arguments: the socket's name (@…), the size of a page file, the page's version, the size of its head. Then waits for a signal.
"""

import array
import os
import signal
import socket
import struct
import sys
import tempfile

name, size, version, head = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])


def connect():
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect("\0" + name[1:])
    return connection


def page(magic=b"GRANITE1", length=size):
    file = os.memfd_create("page")
    os.ftruncate(file, length)
    os.pwrite(file, magic + struct.pack("<II", version, head), 0)
    return file


def hello(magic=b"GRANRUN1", program=b"probe"):
    return magic + struct.pack("<IIIIQ64s", 1, 1, os.getpid(), os.getppid(), 1, program)


def say(message, *files):
    connection = connect()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    try:
        connection.sendmsg([message], rights)
    except OSError:
        pass  # it may be gone already
    return connection


ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
stream, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
reading, writing = os.pipe()
plain = tempfile.TemporaryFile()
plain.truncate(size)

silent = [connect() for _ in range(200)]
connect().close()
for message in [b"", b"x", b"GRANRUN1", b"\0" * 96, hello()[:-1], hello() + b"x", b"y" * 60000]:
    say(message, page(), theirs.fileno())
say(hello())
say(hello(), page())
say(hello(), theirs.fileno(), page())
say(hello(), reading, theirs.fileno())
say(hello(), plain.fileno(), theirs.fileno())
say(hello(), page(length=100), theirs.fileno())
say(hello(), page(magic=b"GRANITE0"), theirs.fileno())
say(hello(), page(), stream.fileno())
say(hello(), page(), writing)
say(hello(), page(), theirs.fileno(), plain.fileno())
say(hello(), *[page() for _ in range(20)])
say(hello(magic=b"GRANRUN2"), page(), theirs.fileno())
say(hello(program=b"\x1b[31mprobe"), page(), theirs.fileno())
print("said", flush=True)
signal.pause()
