"""A terminal with a shell in it, for `granite-crash run` (argument 1): counts interrupts, then stops and continues a job.

Prints what happened, a word a line; ends with 1 if the terminal stays silent.
"""

import os
import pty
import select
import sys
import time

granite_crash = sys.argv[1]
program = r"""
import signal, sys, time
count = 0
def interrupted(s, f):
    global count
    count += 1
signal.signal(signal.SIGINT, interrupted)
signal.signal(signal.SIGCONT, lambda s, f: print("went on", flush=True))
print("rea" + "dy", flush=True)
while count == 0: time.sleep(0.02)
time.sleep(0.3)
print("interrupts", count, flush=True)
line = sys.stdin.readline()
sys.exit(int(line))
"""

pid, terminal = pty.fork()
if pid == 0:
    os.environ["PS1"] = "prompt% "
    os.environ["CRASH"] = granite_crash
    os.environ["PYTHON"] = sys.executable
    os.environ["PROGRAM"] = program
    os.execvp("bash", ["bash", "--norc", "--noediting", "-i"])

seen = b""


def expect(text):
    global seen
    deadline = time.monotonic() + 20
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            sys.exit(f"no {text!r} in {seen!r}")
        try:
            seen += os.read(terminal, 65536)
        except OSError:
            sys.exit(f"the terminal ended before {text!r}: {seen!r}")
    seen = seen[seen.index(text) + len(text):]


def type(text):
    os.write(terminal, text)


expect(b"prompt%")
type(b'"$CRASH" run -- "$PYTHON" -c "$PROGRAM"; echo "code"=$?\n')
expect(b"ready")
type(b"\x03")
expect(b"interrupts ")
print("interrupts", seen[:1].decode() if seen[:1] else os.read(terminal, 1).decode())
type(b"\x1a")
expect(b"Stopped")
print("stopped")
type(b"fg\n")
expect(b"went on")
print("continued")
type(b"9\n")
# bash forgets the rest of a list that was stopped: the code is asked for.
expect(b"prompt%")
type(b"echo code=$?\n")
expect(b"code=9")
print("ended 9")
type(b"exit\n")
os.waitpid(pid, 0)
