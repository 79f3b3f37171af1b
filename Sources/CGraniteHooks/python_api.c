// Looks the interpreter's functions up, in the whole process first, then in a libpython that was opened for one user alone.

#define _GNU_SOURCE
#include "python_api.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

struct granite_hooks_python granite_hooks_python;

/// For dl_iterate_phdr: opens the first loaded library whose name says libpython3.
static int find_library(struct dl_phdr_info *info, size_t size, void *found) {
    (void)size;
    const char *name = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;
    if (!name || strncmp(name, "/libpython3.", 12) != 0) return 0;
    *(const char **)found = info->dlpi_name;
    return 1;
}

/// Where the interpreter's symbols are; NULL if there is no interpreter. RTLD_DEFAULT is NULL too, hence the flag.
static bool find_interpreter(void **handle) {
    *handle = RTLD_DEFAULT;
    if (dlsym(RTLD_DEFAULT, "Py_GetVersion")) return true;
    const char *path = NULL;
    dl_iterate_phdr(find_library, &path);
    // Never closed: what was looked up in it must stay.
    *handle = path ? dlopen(path, RTLD_NOW | RTLD_NOLOAD) : NULL;
    return *handle && dlsym(*handle, "Py_GetVersion");
}

/// "3.11.7 (main, …": the minor version; 0 if it is none that we know the objects of.
static int supported_minor(void *handle) {
    const char *(*version)(void) = (const char *(*)(void))dlsym(handle, "Py_GetVersion");
    const char *text = version();
    if (strncmp(text, "3.", 2) != 0 || strstr(text, "free-threading")) return 0;
    if (dlsym(handle, "PyModule_Create2TraceRefs")) return 0;
    int minor = atoi(text + 2);
    return minor >= 9 && minor <= 13 ? minor : 0;
}

/// With the GIL held.
bool granite_hooks_load_python(void) {
    if (granite_hooks_python.is_loaded) return true;
    void *handle;
    if (!find_interpreter(&handle)) return false;
    struct granite_hooks_python table = {.minor = supported_minor(handle)};
    if (table.minor == 0) return false;
#define GRANITE_LOOK_UP(result, name, parameters) \
    if (!(*(void **)&table.name = dlsym(handle, #name))) return false;
    GRANITE_PYTHON_FUNCTIONS(GRANITE_LOOK_UP)
#undef GRANITE_LOOK_UP
#define GRANITE_LOOK_UP(name) \
    if (!(table.name = dlsym(handle, #name))) return false;
    GRANITE_PYTHON_OBJECTS(GRANITE_LOOK_UP)
#undef GRANITE_LOOK_UP
#define GRANITE_LOOK_UP(name)                            \
    PyObjectPointer *name##_at = dlsym(handle, #name);   \
    if (!name##_at || !(table.name = *name##_at)) return false;
    GRANITE_PYTHON_VARIABLES(GRANITE_LOOK_UP)
#undef GRANITE_LOOK_UP
    table.is_loaded = true;
    granite_hooks_python = table;
    return true;
}

/// With the GIL held.
bool granite_is_exception_class(PyObjectPointer object) {
    return object && (granite_hooks_python.PyType_GetFlags(granite_type_of(object)) & GRANITE_TYPE_IS_TYPE) &&
           (granite_hooks_python.PyType_GetFlags(object) & GRANITE_TYPE_IS_EXCEPTION);
}

/// With the GIL held.
PyObjectPointer granite_loaded_module(const char *name) {
    PyObjectPointer text = granite_hooks_python.PyUnicode_FromString(name);
    PyObjectPointer module = text ? granite_hooks_python.PyImport_GetModule(text) : NULL;
    granite_release(text);
    if (!module) granite_hooks_python.PyErr_Clear();
    return module;
}

/// With the GIL held.
PyObjectPointer granite_attribute(PyObjectPointer object, const char *name) {
    PyObjectPointer value = object ? granite_hooks_python.PyObject_GetAttrString(object, name) : NULL;
    if (!value) granite_hooks_python.PyErr_Clear();
    return value;
}

/// With the GIL held.
void granite_release(PyObjectPointer object) {
    if (object) granite_hooks_python.Py_DecRef(object);
}
