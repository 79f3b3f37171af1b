// An exception that reached a hook, on its way from the hook to the report.

#ifndef GRANITE_HAPPENING_H
#define GRANITE_HAPPENING_H

#include "affinity.h"
#include "granite_capture.h"
#include "python_api.h"

enum granite_hook {
    GRANITE_HOOK_UNRAISABLE = 0,  ///< sys.unraisablehook
    GRANITE_HOOK_THREADING = 1,   ///< threading.excepthook
    GRANITE_HOOK_SYS = 2,         ///< sys.excepthook
    GRANITE_HOOK_RETURNED = 3,    ///< given to the application's caller: a panic or a misuse is told, all else is its own
};

/// All borrowed; NULL or None where the hook was not told.
struct granite_happening {
    enum granite_hook hook;
    PyObjectPointer type;       ///< the exception's class
    PyObjectPointer value;
    PyObjectPointer traceback;
    PyObjectPointer object;     ///< that raised, or the thread
};

/// What kind of mistake it is. `text` is a reference, which `affinity` points into; release it.
struct granite_classification {
    uint32_t kind;  ///< enum granite_capture_kind; GRANITE_KIND_NONE: not to be told of
    uint64_t fingerprint;
    struct granite_affinity affinity;
    PyObjectPointer text;
};

/// Looks at types, and at the words of exceptions that PyO3 makes: calls no Python code, formats nothing. With the GIL
/// held; leaves no error.
struct granite_classification granite_hooks_classify(const struct granite_happening *happening);

/// The innermost entry of a traceback: a new reference, or NULL. With the GIL held; leaves no error.
PyObjectPointer granite_innermost_entry(PyObjectPointer traceback);

/// Counts it, and captures it if it is new or long ago. With the GIL held and no error set; leaves none. Nested calls
/// do nothing.
void granite_hooks_tell(const struct granite_happening *happening);

#endif
