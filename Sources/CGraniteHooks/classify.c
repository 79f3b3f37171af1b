// Tells mistakes apart by pointers, so that one that happens 20,000 times a second costs next to nothing after the first.

#include <string.h>

#include "happening.h"

#define py granite_hooks_python

/// A message of PyO3 is no longer; in characters.
enum { longest_message = 2000 };
/// A traceback is as deep as the recursion that made it, and may be built by hand into a ring.
enum { deepest_traceback = 100000 };

/// FNV-1a, eight bytes a step: the words are pointers and counts.
static uint64_t mix(uint64_t hash, uint64_t word) { return (hash ^ word) * 0x100000001b3ull ^ (hash >> 29); }

/// FNV-1a.
static uint64_t mix_text(uint64_t hash, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3ull;
    return hash;
}

/// PyO3's exception of a panic, which every extension makes anew. It is no Exception, so that `except Exception` lets it pass.
static bool is_panic(PyObjectPointer type) {
    if (py.PyType_IsSubtype(type, py.PyExc_Exception) || type == py.PyExc_GeneratorExit) return false;
    PyObjectPointer name = granite_attribute(type, "__name__");
    const char *text = name ? py.PyUnicode_AsUTF8AndSize(name, NULL) : NULL;
    bool matches = text && strcmp(text, "PanicException") == 0;
    granite_release(name);
    return matches;
}

/// `value.args[0]` if it is a str of bearable length: a new reference.
static PyObjectPointer message(PyObjectPointer value) {
    PyObjectPointer arguments = granite_attribute(value, "args");
    PyObjectPointer first = arguments ? py.PyTuple_GetItem(arguments, 0) : NULL;
    if (first && granite_type_of(first) == py.PyUnicode_Type && py.PyUnicode_GetLength(first) <= longest_message)
        py.Py_IncRef(first);
    else
        first = NULL;
    granite_release(arguments);
    return first;
}

/// With the GIL held.
PyObjectPointer granite_innermost_entry(PyObjectPointer traceback) {
    if (!traceback || traceback == py._Py_NoneStruct) return NULL;
    py.Py_IncRef(traceback);
    for (int depth = 0; depth < deepest_traceback; depth++) {
        PyObjectPointer next = granite_attribute(traceback, "tb_next");
        if (!next || next == py._Py_NoneStruct) {
            granite_release(next);
            break;
        }
        granite_release(traceback);
        traceback = next;
    }
    return traceback;
}

/// The code and the line that a traceback ends in.
static uint64_t mix_place(uint64_t hash, PyObjectPointer traceback) {
    PyObjectPointer entry = granite_innermost_entry(traceback);
    PyObjectPointer frame = granite_attribute(entry, "tb_frame");
    PyObjectPointer code = granite_attribute(frame, "f_code");
    PyObjectPointer line = granite_attribute(entry, "tb_lineno");
    hash = mix(mix(hash, (uint64_t)(uintptr_t)code), line ? (uint64_t)py.PyLong_AsLong(line) : 0);
    granite_release(line);
    granite_release(code);
    granite_release(frame);
    granite_release(entry);
    return hash;
}

/// What an unraisable exception came out of: a function by its code, which all closures of it share, all else by its type.
static uint64_t mix_object(uint64_t hash, PyObjectPointer object) {
    if (!object) return hash;
    PyObjectPointer type = granite_type_of(object);
    if (type == py.PyFunction_Type) return mix(hash, (uint64_t)(uintptr_t)py.PyFunction_GetCode(object));
    return mix(hash, (uint64_t)(uintptr_t)type);
}

static uint32_t usual_kind(const struct granite_happening *happening) {
    PyObjectPointer type = happening->type;
    bool is_exit = py.PyType_IsSubtype(type, py.PyExc_SystemExit);
    // A person pressed Ctrl-C: no mistake, wherever it arrived.
    if (py.PyType_IsSubtype(type, py.PyExc_KeyboardInterrupt)) return GRANITE_KIND_NONE;
    switch (happening->hook) {
        case GRANITE_HOOK_UNRAISABLE:
            // The reader of a pipe is gone, noticed when standard output is flushed at the end: `program | head`.
            if (type == py.PyExc_BrokenPipeError &&
                (!happening->traceback || happening->traceback == py._Py_NoneStruct))
                return GRANITE_KIND_NONE;
            return GRANITE_KIND_UNRAISABLE;
        case GRANITE_HOOK_THREADING: return is_exit ? GRANITE_KIND_NONE : GRANITE_KIND_THREAD_EXCEPTION;
        case GRANITE_HOOK_SYS: return is_exit ? GRANITE_KIND_NONE : GRANITE_KIND_UNCAUGHT;
        case GRANITE_HOOK_RETURNED: return GRANITE_KIND_NONE;
    }
    return GRANITE_KIND_NONE;
}

/// With the GIL held.
struct granite_classification granite_hooks_classify(const struct granite_happening *happening) {
    struct granite_classification result = {.kind = GRANITE_KIND_NONE};
    PyObjectPointer type = happening->type;
    if (!granite_is_exception_class(type)) return result;
    result.kind = usual_kind(happening);
    bool panic = is_panic(type);
    if (panic) result.kind = GRANITE_KIND_PANIC;
    if ((panic || type == py.PyExc_RuntimeError) && (result.text = message(happening->value))) {
        ssize_t length = 0;
        const char *text = py.PyUnicode_AsUTF8AndSize(result.text, &length);
        if (text) result.affinity = granite_affinity_of(text, (size_t)length);
        if (result.affinity.kind != GRANITE_AFFINITY_NONE) result.kind = GRANITE_KIND_DROP_SITE;
    }
    uint64_t hash = mix(0xcbf29ce484222325ull, result.kind);
    if (result.kind == GRANITE_KIND_DROP_SITE) {
        hash = mix_text(hash, result.affinity.sentence, result.affinity.sentence_length);
        // The first report makes the type be watched; the first object of which it is known who made it gets another.
        if (result.affinity.kind == GRANITE_AFFINITY_DROPPED) hash = mix(hash, granite_origin_known(NULL));
    } else if (result.kind != GRANITE_KIND_NONE) {
        hash = mix(hash, (uint64_t)(uintptr_t)type);
        hash = result.kind == GRANITE_KIND_UNRAISABLE ? mix_object(hash, happening->object)
                                                      : mix_place(hash, happening->traceback);
    }
    result.fingerprint = hash ? hash : 1;
    py.PyErr_Clear();
    return result;
}
