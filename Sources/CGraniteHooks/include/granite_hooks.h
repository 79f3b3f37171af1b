// The hooks that tell of Python's uncatchable errors: sys.unraisablehook, threading.excepthook, sys.excepthook and the
// collector of cycles. One implementation for Granite's workers and for any process under `granite-crash run`.

#ifndef GRANITE_HOOKS_H
#define GRANITE_HOOKS_H

#include <stdbool.h>

/// Puts the hooks in front of those that are set. With the GIL held; once per interpreter; again after libpython was
/// loaded late or the application set hooks without chaining. False if the interpreter's functions cannot be found or
/// its version is not supported (3.9 to 3.13, not free-threaded).
bool granite_hooks_install(void);

#endif
