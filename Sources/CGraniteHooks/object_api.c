// Looks up what tells of types and frames, and reads both.

#define _GNU_SOURCE
#include "object_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

struct granite_object_api granite_object_api;

/// Where the interpreter's symbols are: in the whole process, or in the library that holds the type of str.
static void *interpreter(void) {
    if (dlsym(RTLD_DEFAULT, "PyType_GetSlot")) return RTLD_DEFAULT;
    Dl_info info;
    if (!dladdr(granite_hooks_python.PyUnicode_Type, &info) || !info.dli_fname) return NULL;
    return dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
}

static bool load(void) {
    if (!granite_hooks_load_python()) return false;
    void *handle = interpreter();
    // RTLD_DEFAULT is NULL as well: what is looked up in it then is found or not.
    struct granite_object_api table;
#define GRANITE_LOOK_UP(result, name, parameters) \
    if (!(*(void **)&table.name = dlsym(handle, #name))) return false;
    GRANITE_OBJECT_FUNCTIONS(GRANITE_LOOK_UP)
#undef GRANITE_LOOK_UP
#define GRANITE_LOOK_UP(name) \
    if (!(table.name = dlsym(handle, #name))) return false;
    GRANITE_OBJECT_TYPES(GRANITE_LOOK_UP)
#undef GRANITE_LOOK_UP
    granite_object_api = table;
    return true;
}

/// With the GIL held, which protects the table.
bool granite_load_object_api(void) {
    static enum { unknown, present, absent } state;
    if (state == unknown) state = load() ? present : absent;
    return state == present;
}

/// With the GIL held.
bool granite_type_derives(void *type, void *base) {
    while (type && type != base) type = *granite_type_word(type, GRANITE_TYPE_BASE);
    return type != NULL;
}

/// Pure.
const char *granite_last_component(const char *name) {
    const char *last = name;
    for (const char *byte = name; *byte; byte++)
        if (*byte == '.' || *byte == ':') last = byte + 1;
    return last;
}

/// UTF-8 of a str, valid as long as it; NULL without an error for what is none. With the GIL held.
static const char *utf8(PyObjectPointer text) {
    const struct granite_hooks_python *py = &granite_hooks_python;
    if (!text || granite_type_of(text) != py->PyUnicode_Type) return NULL;
    const char *bytes = py->PyUnicode_AsUTF8AndSize(text, NULL);
    if (!bytes) py->PyErr_Clear();
    return bytes;
}

/// With the GIL held.
void granite_type_name(void *type, char *name, size_t capacity) {
    const char *full = *granite_type_word(type, GRANITE_TYPE_NAME);
    const char *module = NULL;
    // As type.__module__ has it: types on the heap keep it in their dictionary, others in front of their name.
    if (granite_hooks_python.PyType_GetFlags(type) & GRANITE_TYPE_IS_ON_HEAP) {
        void *dictionary = *granite_type_word(type, GRANITE_TYPE_DICT);
        if (dictionary) module = utf8(granite_hooks_python.PyDict_GetItemString(dictionary, "__module__"));
        full = granite_last_component(full);
    } else if (!strchr(full, '.')) {
        module = "builtins";
    }
    snprintf(name, capacity, "%s%s%s", module ? module : "", module ? "." : "", full);
}

/// A file's name; the path from the package on where it is an installed one.
static const char *short_path(const char *path) {
    const char *installed = strstr(path, "site-packages/");
    if (installed) return installed + strlen("site-packages/");
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/// With the GIL held.
bool granite_frame_place(PyObjectPointer frame, char *place, size_t capacity) {
    if (!frame) return false;
    const struct granite_hooks_python *py = &granite_hooks_python;
    PyObjectPointer error[3];
    py->PyErr_Fetch(&error[0], &error[1], &error[2]);
    PyObjectPointer code = granite_object_api.PyFrame_GetCode(frame);
    PyObjectPointer file_name = granite_attribute(code, "co_filename");
    PyObjectPointer function_name = granite_attribute(code, "co_name");
    const char *file = utf8(file_name), *function = utf8(function_name);
    if (file && function) {
        int line = granite_object_api.PyFrame_GetLineNumber(frame);
        snprintf(place, capacity, line > 0 ? "%.64s (%s:%d)" : "%.64s (%s)", function, short_path(file), line);
    }
    granite_release(function_name);
    granite_release(file_name);
    granite_release(code);
    py->PyErr_Restore(error[0], error[1], error[2]);
    return file && function;
}

/// Where a frame object keeps things: offset of the pointer to where the others are, 0 = in itself; of its code, its
/// instruction and its locals. From Include/cpython/frameobject.h of 3.9 and 3.10 and Include/internal/pycore_frame.h
/// of 3.11 to 3.13.
static const struct {
    int frame, code, instruction, locals;
} layouts[] = {
    [9] = {0, 32, 104, 360}, [10] = {0, 32, 96, 352},
    [11] = {24, 32, 56, 72}, [12] = {24, 0, 56, 72}, [13] = {24, 0, 56, 72},
};

/// What the offsets of a frame object count from; NULL if the layout is not as it should be: then it names another
/// code, or none.
static const char *frame_base(PyObjectPointer frame, PyObjectPointer code) {
    int minor = granite_hooks_python.minor;
    const char *base = layouts[minor].frame ? *(const char **)((char *)frame + layouts[minor].frame) : frame;
    return base && *(PyObjectPointer *)(base + layouts[minor].code) == code ? base : NULL;
}

/// With the GIL held.
bool granite_frame_position(PyObjectPointer frame, struct granite_frame_position *position) {
    if (!frame) return false;
    PyObjectPointer code = granite_object_api.PyFrame_GetCode(frame);
    const char *base = frame_base(frame, code);
    granite_release(code);  // the frame keeps it
    if (!base) return false;
    int minor = granite_hooks_python.minor;
    const char *instruction = base + layouts[minor].instruction;
    position->code = code;
    position->instruction = minor < 11 ? *(const uint32_t *)instruction : *(const uint64_t *)instruction;
    return true;
}

/// With the GIL held.
bool granite_frame_local(PyObjectPointer frame, PyObjectPointer value, char *name, size_t capacity) {
    const struct granite_hooks_python *py = &granite_hooks_python;
    PyObjectPointer code = granite_object_api.PyFrame_GetCode(frame);
    PyObjectPointer names = granite_attribute(code, "co_varnames");
    const char *base = frame_base(frame, code);
    bool found = false;
    if (names && base) {
        PyObjectPointer const *locals = (PyObjectPointer const *)(base + layouts[py->minor].locals);
        ssize_t count = py->PyTuple_Size(names);
        for (ssize_t index = 0; index < count && !found; index++) {
            if (locals[index] != value) continue;
            const char *text = utf8(py->PyTuple_GetItem(names, index));
            if (text) snprintf(name, capacity, "%s", text);
            found = text != NULL;
        }
    }
    granite_release(names);
    granite_release(code);
    return found;
}
