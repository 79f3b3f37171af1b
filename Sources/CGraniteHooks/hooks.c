// The hooks that Python calls. They are built-in functions: no Python frame of ours stands between the place of the
// error and the report. A hook's `self` is the hook that was set before, which it calls in the end: what was printed is
// printed, as ever.

#include "hooks.h"

#include <string.h>

#include "happening.h"
#include "python_text.h"

#define py granite_hooks_python

/// Flags of a type (Include/object.h).
enum { heap_type = 1 << 9, tuple_type = 1 << 26 };

/// The exception whose earlier hooks are running on this thread: one of them may be ours again, when the application
/// set its own between.
static __thread PyObjectPointer passing_on;

static PyObjectPointer pass_on(PyObjectPointer earlier, PyObjectPointer arguments, PyObjectPointer exception,
                               bool is_tuple) {
    PyObjectPointer outer = passing_on;
    passing_on = exception;
    PyObjectPointer result = is_tuple ? py.PyObject_Call(earlier, arguments, NULL)
                                      : py.PyObject_CallFunctionObjArgs(earlier, arguments, NULL);
    passing_on = outer;
    return result;
}

/// unraisablehook(args) and excepthook(args): the attributes of what was given.
static void tell_of_attributes(enum granite_hook hook, PyObjectPointer arguments, const char *object_name) {
    struct granite_happening happening = {
        .hook = hook,
        .type = granite_attribute(arguments, "exc_type"),
        .value = granite_attribute(arguments, "exc_value"),
        .traceback = granite_attribute(arguments, "exc_traceback"),
        .object = granite_attribute(arguments, object_name),
    };
    granite_hooks_tell(&happening);
    granite_release(happening.type);
    granite_release(happening.value);
    granite_release(happening.traceback);
    granite_release(happening.object);
}

/// Whether it is what Python itself gives to sys.unraisablehook: a tuple of five, since it exists (3.8). Its type has
/// no name in `sys`, but it is the one of that name that no program can make: it is not on the heap.
static bool is_usual(PyObjectPointer arguments) {
    static PyObjectPointer usual_type;
    PyObjectPointer type = granite_type_of(arguments);
    if (type == usual_type) return true;
    if (usual_type || (py.PyType_GetFlags(type) & (tuple_type | heap_type)) !=
                          tuple_type)
        return false;
    struct granite_text name = {0};
    granite_text_append_type(&name, type, false);
    if (strcmp(name.bytes, "UnraisableHookArgs") != 0 || py.PyTuple_Size(arguments) < 5) return false;
    usual_type = type;
    return true;
}

/// sys.unraisablehook(args). With the GIL held and no error set.
static PyObjectPointer granite_hooks_unraisable(PyObjectPointer earlier, PyObjectPointer arguments) {
    if (arguments != passing_on) {
        if (is_usual(arguments)) {
            struct granite_happening happening = {
                .hook = GRANITE_HOOK_UNRAISABLE,
                .type = py.PyTuple_GetItem(arguments, 0),
                .value = py.PyTuple_GetItem(arguments, 1),
                .traceback = py.PyTuple_GetItem(arguments, 2),
                .object = py.PyTuple_GetItem(arguments, 4),
            };
            granite_hooks_tell(&happening);
        } else {
            tell_of_attributes(GRANITE_HOOK_UNRAISABLE, arguments, "object");
        }
    }
    return pass_on(earlier, arguments, arguments, false);
}

/// threading.excepthook(args). With the GIL held and no error set.
static PyObjectPointer granite_hooks_threading(PyObjectPointer earlier, PyObjectPointer arguments) {
    if (arguments != passing_on) tell_of_attributes(GRANITE_HOOK_THREADING, arguments, "thread");
    return pass_on(earlier, arguments, arguments, false);
}

/// sys.excepthook(type, value, traceback). With the GIL held and no error set.
static PyObjectPointer granite_hooks_sys(PyObjectPointer earlier, PyObjectPointer arguments) {
    PyObjectPointer exception = arguments;
    // At a prompt an exception ends nothing.
    if (py.PyTuple_Size(arguments) == 3 && !py.PySys_GetObject("ps1")) {
        struct granite_happening happening = {
            .hook = GRANITE_HOOK_SYS,
            .type = py.PyTuple_GetItem(arguments, 0),
            .value = py.PyTuple_GetItem(arguments, 1),
            .traceback = py.PyTuple_GetItem(arguments, 2),
        };
        exception = happening.value;
        if (exception != passing_on) granite_hooks_tell(&happening);
    }
    return pass_on(earlier, arguments, exception, true);
}

struct granite_method granite_unraisable_method = {"granite_hooks_unraisable", (void *)granite_hooks_unraisable,
                                                   GRANITE_METHOD_ONE, NULL};
struct granite_method granite_threading_method = {"granite_hooks_threading", (void *)granite_hooks_threading,
                                                  GRANITE_METHOD_ONE, NULL};
struct granite_method granite_sys_method = {"granite_hooks_sys", (void *)granite_hooks_sys, GRANITE_METHOD_VARARGS,
                                            NULL};

/// With the GIL held.
void granite_hooks_note_exception(void *type, void *value, void *traceback) {
    if (!py.is_loaded || !type) return;
    PyObjectPointer set[3];
    py.PyErr_Fetch(&set[0], &set[1], &set[2]);
    struct granite_happening happening = {
        .hook = GRANITE_HOOK_RETURNED, .type = type, .value = value, .traceback = traceback};
    granite_hooks_tell(&happening);
    py.PyErr_Restore(set[0], set[1], set[2]);
}
