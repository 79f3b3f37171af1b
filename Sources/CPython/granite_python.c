// Fills the table of CPython functions.

#include "granite_python.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

struct granite_python_table granite_python;

enum granite_python_load_result granite_python_load(const char *path, char *text, size_t capacity) {
    void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
        snprintf(text, capacity, "%s", dlerror());
        return GRANITE_PYTHON_CANNOT_OPEN;
    }
    const char *missing = NULL;
    // dlsym(3) returns data and functions alike as void *: POSIX makes the conversion valid.
#define LOOK_UP(field, symbol)                                                     \
    *(void **)&granite_python.field = dlsym(library, symbol);                      \
    if (!granite_python.field && !missing) missing = symbol;
    LOOK_UP(Py_GetVersion, "Py_GetVersion")
    // 3.13t says "experimental free-threading build"; its object header differs, so nothing else may be tried.
    if (!missing && strstr(granite_python.Py_GetVersion(), "free-threading")) {
        snprintf(text, capacity, "%s", granite_python.Py_GetVersion());
        return GRANITE_PYTHON_FREE_THREADED;
    }
#define X(result, name, parameters, arguments) LOOK_UP(name, #name)
    GRANITE_PYTHON_REQUIRED(X)
#undef X
#define X(result, name, parameters, arguments) *(void **)&granite_python.name = dlsym(library, #name);
    GRANITE_PYTHON_OPTIONAL(X)
#undef X
#define X(name, symbol) LOOK_UP(object_##name, #symbol)
    GRANITE_PYTHON_OBJECTS(X)
#undef X
    // PyExc_… are variables that the dynamic linker has already pointed at the static classes.
#define X(name)                                                                    \
    LOOK_UP(exception_##name, "PyExc_" #name)                                      \
    if (!missing) granite_python.exception_##name = *(PyObject **)granite_python.exception_##name;
    GRANITE_PYTHON_EXCEPTIONS(X)
#undef X
    LOOK_UP(runtime, "_PyRuntime")
    if (missing) {
        snprintf(text, capacity, "%s", missing);
        return GRANITE_PYTHON_MISSING_SYMBOL;
    }
    return GRANITE_PYTHON_LOADED;
}

void *granite_python_runtime(void) { return granite_python.runtime; }
