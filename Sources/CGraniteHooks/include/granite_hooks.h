// The hooks that tell of Python's uncatchable errors: sys.unraisablehook, threading.excepthook, sys.excepthook and the
// collector of cycles. One implementation for Granite's workers and for any process under `granite-crash run`.

#ifndef GRANITE_HOOKS_H
#define GRANITE_HOOKS_H

#include <stdbool.h>

/// Puts the hooks in front of those that are set. With the GIL held; once per interpreter; again after libpython was
/// loaded late or the application set hooks without chaining: what is in place already stays, and costs about a
/// microsecond. An error that is set stays set. False if the interpreter's functions cannot be found, its version is
/// not supported (3.9 to 3.13, not free-threaded), or one of the hooks could not be set; the others are.
bool granite_hooks_install(void);

/// Tells of an exception that the application returned to its caller, if it is a Rust panic or the use of an object on
/// a thread that it does not belong to; all others are the caller's alone. With the GIL held; nothing before the hooks
/// are installed. `type`, `value` and `traceback` are Python objects, borrowed and unchanged, as
/// PyErr_NormalizeException leaves them; an error that is set stays set.
void granite_hooks_note_exception(void *_Nullable type, void *_Nullable value, void *_Nullable traceback);

#endif
