// A built-in function in gc.callbacks: no Python code runs for it, and nothing is allocated.

#include "collection.h"

#include <string.h>

#include "describe.h"
#include "granite_capture.h"

#define py granite_hooks_python

/// The thread that collects, of whichever interpreter; 0 = none. Interpreters with a GIL of their own may collect at
/// once: each thread knows of itself, the others are told of the last that began.
static uint32_t collecting_tid;
static int collecting_generation;
static __thread int own_generation = -1;

/// callback(phase, info). With the GIL held; sets no error, whatever it is given.
static PyObjectPointer granite_hooks_collection(PyObjectPointer self, const PyObjectPointer *arguments, ssize_t count) {
    (void)self;
    const char *phase = count == 2 ? py.PyUnicode_AsUTF8AndSize(arguments[0], NULL) : NULL;
    uint32_t me = granite_capture_thread_id();
    if (phase && strcmp(phase, "start") == 0) {
        PyObjectPointer generation = py.PyDict_GetItemString(arguments[1], "generation");
        own_generation = generation ? (int)py.PyLong_AsLong(generation) : 0;
        __atomic_store_n(&collecting_generation, own_generation, __ATOMIC_RELAXED);
        __atomic_store_n(&collecting_tid, me, __ATOMIC_RELEASE);
        granite_watch_named_types();  // extension modules make theirs when they are first used
    } else if (phase && strcmp(phase, "stop") == 0) {
        own_generation = -1;
        uint32_t expected = me;
        __atomic_compare_exchange_n(&collecting_tid, &expected, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
    py.PyErr_Clear();
    py.Py_IncRef(py._Py_NoneStruct);
    return py._Py_NoneStruct;
}

/// With the GIL held.
static bool is_watched(PyObjectPointer callbacks) {
    for (ssize_t i = 0; i < py.PyList_Size(callbacks); i++) {
        PyObjectPointer callback = py.PyList_GetItem(callbacks, i);
        if (callback && granite_type_of(callback) == py.PyCFunction_Type &&
            py.PyCFunction_GetFunction(callback) == (void *)granite_hooks_collection)
            return true;
    }
    return false;
}

/// With the GIL held.
bool granite_collection_watch(void) {
    static struct granite_method method = {"granite_hooks_collection", (void *)granite_hooks_collection,
                                           GRANITE_METHOD_FASTCALL, NULL};
    PyObjectPointer module = granite_loaded_module("gc");
    if (!module) module = py.PyImport_ImportModule("gc");  // built in: no file is read
    PyObjectPointer callbacks = granite_attribute(module, "callbacks");
    bool is_done = callbacks && is_watched(callbacks);
    if (callbacks && !is_done) {
        PyObjectPointer function = py.PyCFunction_NewEx(&method, NULL, NULL);
        is_done = function && py.PyList_Append(callbacks, function) == 0;
        granite_release(function);
    }
    granite_release(callbacks);
    granite_release(module);
    py.PyErr_Clear();
    return is_done;
}

/// Any thread.
void granite_collection_describe(struct granite_details *details) {
    int generation = own_generation;
    if (generation >= 0) {
        granite_details_add(details, "collector", "running");
    } else if (__atomic_load_n(&collecting_tid, __ATOMIC_ACQUIRE) != 0) {
        generation = __atomic_load_n(&collecting_generation, __ATOMIC_RELAXED);
        granite_details_add(details, "collector", "running_elsewhere");
    }
    if (generation >= 0) granite_details_add(details, "generation", "%d", generation);
}
