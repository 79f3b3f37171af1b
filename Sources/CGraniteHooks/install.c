// Puts the hooks in front of those that are set.

#include "collection.h"
#include "hooks.h"

#include <stdlib.h>

#define py granite_hooks_python

static bool is_ours(PyObjectPointer hook, const struct granite_method *method) {
    return granite_type_of(hook) == py.PyCFunction_Type && py.PyCFunction_GetFunction(hook) == method->function;
}

/// Sets `module.name` to a hook that calls what it was. True if it is ours now, or was.
///
/// `original` is the attribute with Python's own, which takes the place of None. It stays the same object as the hook
/// where it was: programs compare the two to learn whether somebody set a hook, and then behave differently
/// (code.InteractiveInterpreter).
static bool put_before(PyObjectPointer module, const char *name, const char *original, struct granite_method *method) {
    PyObjectPointer set = granite_attribute(module, name);
    PyObjectPointer own = granite_attribute(module, original);
    PyObjectPointer earlier = set == py._Py_NoneStruct ? own : set;
    bool is_done = earlier && earlier == set && is_ours(earlier, method);
    if (earlier && !is_done) {
        PyObjectPointer hook = earlier;
        PyObjectPointer its_module = granite_attribute(earlier, "__module__");
        if (is_ours(earlier, method))
            py.Py_IncRef(hook);
        else
            hook = py.PyCFunction_NewEx(method, earlier, its_module);
        granite_release(its_module);
        is_done = hook && py.PyObject_SetAttrString(module, name, hook) == 0;
        if (is_done && earlier == own) py.PyObject_SetAttrString(module, original, hook);
        granite_release(hook);
    }
    granite_release(own);
    granite_release(set);
    py.PyErr_Clear();
    return is_done;
}

/// threading.excepthook; before threading is imported, that which it will take from _thread.
static bool put_before_threading(void) {
    PyObjectPointer module = granite_loaded_module("threading");
    bool is_loaded = module != NULL;
    if (!module) module = granite_loaded_module("_thread");
    bool is_done = is_loaded ? put_before(module, "excepthook", "__excepthook__", &granite_threading_method)
                             : put_before(module, "_excepthook", "_excepthook", &granite_threading_method);
    granite_release(module);
    return is_done;
}

/// tracemalloc is on from the start: its built-in module, which answers where objects were allocated, may not be
/// imported yet.
static void load_tracemalloc(void) {
    PyObjectPointer options = py.PySys_GetXOptions();
    if (!getenv("PYTHONTRACEMALLOC") && !(options && py.PyDict_GetItemString(options, "tracemalloc"))) return;
    PyObjectPointer module = granite_loaded_module("_tracemalloc");
    if (!module) module = py.PyImport_ImportModule("_tracemalloc");
    granite_release(module);
    py.PyErr_Clear();
}

/// With the GIL held.
bool granite_hooks_install(void) {
    // To import may call whoever installs us at imports.
    static __thread bool is_installing;
    if (is_installing || !granite_hooks_load_python()) return false;
    is_installing = true;
    PyObjectPointer set[3];
    py.PyErr_Fetch(&set[0], &set[1], &set[2]);
    PyObjectPointer sys = granite_loaded_module("sys");
    bool is_done = put_before(sys, "unraisablehook", "__unraisablehook__", &granite_unraisable_method);
    is_done &= put_before(sys, "excepthook", "__excepthook__", &granite_sys_method);
    is_done &= put_before_threading();
    is_done &= granite_collection_watch();
    granite_release(sys);
    load_tracemalloc();
    granite_watch_named_types();
    py.PyErr_Restore(set[0], set[1], set[2]);
    is_installing = false;
    return is_done;
}
