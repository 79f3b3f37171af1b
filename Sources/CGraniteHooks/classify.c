// Tells mistakes apart by pointers, so that one that happens 20,000 times a second costs next to nothing after the
// first.

#include <string.h>

#include "happening.h"

#define py granite_hooks_python

/// A message of PyO3 is no longer; in characters.
enum { longest_message = 2000 };
/// A traceback is as deep as the recursion that made it, and may be built by hand into a ring.
enum { deepest_traceback = 100000 };

static const uint64_t offset_basis = 0xcbf29ce484222325ull;

/// FNV-1a, eight bytes a step: the words are pointers and counts.
static uint64_t mix(uint64_t hash, uint64_t word) { return (hash ^ word) * 0x100000001b3ull ^ (hash >> 29); }

static uint64_t mix_text(uint64_t hash, const char *text, size_t length) {
    while (length > 0) {
        uint64_t word = 0;
        size_t taken = length < sizeof word ? length : sizeof word;
        memcpy(&word, text, taken);
        hash = mix(hash, word);
        text += taken;
        length -= taken;
    }
    return hash;
}

/// PyO3's exception of a panic, which every extension makes anew. It is no Exception, so that `except Exception` lets
/// it pass.
static bool is_panic(PyObjectPointer type) {
    if (py.PyType_IsSubtype(type, py.PyExc_Exception) || type == py.PyExc_GeneratorExit) return false;
    PyObjectPointer name = granite_attribute(type, "__name__");
    const char *text = name ? py.PyUnicode_AsUTF8AndSize(name, NULL) : NULL;
    bool matches = text && strcmp(text, "PanicException") == 0;
    granite_release(name);
    return matches;
}

/// `value.args`: a new reference. Read from where every exception object has it (PyBaseExceptionObject, 3.9 to 3.13),
/// once the interpreter has said itself that it is there: the attribute's lookup would be a third of what an exception
/// costs.
static PyObjectPointer arguments_of(PyObjectPointer value) {
    static enum { unknown, is_there, is_elsewhere } place;
    PyObjectPointer arguments = ((PyObjectPointer *)value)[3];
    if (place == is_there) {
        if (arguments) py.Py_IncRef(arguments);
        return arguments;
    }
    PyObjectPointer said = granite_attribute(value, "args");
    if (place == unknown && said) place = said == arguments ? is_there : is_elsewhere;
    return said;
}

/// `value.args[0]` if it is a str of bearable length: a new reference.
static PyObjectPointer message(PyObjectPointer value) {
    if (!value || !(py.PyType_GetFlags(granite_type_of(value)) & GRANITE_TYPE_IS_EXCEPTION)) return NULL;
    PyObjectPointer arguments = arguments_of(value);
    PyObjectPointer first = arguments ? py.PyTuple_GetItem(arguments, 0) : NULL;
    if (!first) py.PyErr_Clear();
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

/// What the text says, and the hash of its sentence. The same text comes again and again: the last is remembered.
static uint64_t recognise(const char *text, size_t length, struct granite_affinity *affinity) {
    static __thread struct {
        uint64_t hash;
        size_t length;
        uint64_t sentence_hash;
        struct granite_affinity affinity;
        const char *text;  ///< that `affinity` points into, which may be gone: for its offsets alone
    } last;
    uint64_t hash = mix_text(mix(offset_basis, length), text, length);
    if (last.length != length || last.hash != hash) {
        last.affinity = granite_affinity_of(text, length);
        last.sentence_hash = mix_text(offset_basis, last.affinity.sentence, last.affinity.sentence_length);
        last.text = text;
        last.length = length;
        last.hash = hash;
    }
    *affinity = last.affinity;
    if (affinity->sentence) affinity->sentence = text + (affinity->sentence - last.text);
    if (affinity->type) affinity->type = text + (affinity->type - last.text);
    return last.sentence_hash;
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

/// What an unraisable exception came out of: a function by its code, which all closures of it share, all else by its
/// type.
static uint64_t mix_object(uint64_t hash, PyObjectPointer object) {
    if (!object) return hash;
    PyObjectPointer type = granite_type_of(object);
    if (type == py.PyFunction_Type) return mix(hash, (uint64_t)(uintptr_t)py.PyFunction_GetCode(object));
    return mix(hash, (uint64_t)(uintptr_t)type);
}

/// By enum granite_hook.
static const uint32_t usual_kinds[] = {GRANITE_KIND_UNRAISABLE, GRANITE_KIND_THREAD_EXCEPTION, GRANITE_KIND_UNCAUGHT,
                                       GRANITE_KIND_NONE};

/// Whether it is how a program or a thread is meant to end.
static bool is_no_mistake(const struct granite_happening *happening) {
    PyObjectPointer type = happening->type;
    // A person pressed Ctrl-C, wherever it arrived.
    if (py.PyType_IsSubtype(type, py.PyExc_KeyboardInterrupt)) return true;
    if (happening->hook != GRANITE_HOOK_UNRAISABLE) return py.PyType_IsSubtype(type, py.PyExc_SystemExit);
    // The reader of a pipe is gone, noticed when standard output is flushed at the end: `program | head`.
    return type == py.PyExc_BrokenPipeError && (!happening->traceback || happening->traceback == py._Py_NoneStruct);
}

/// With the GIL held.
struct granite_classification granite_hooks_classify(const struct granite_happening *happening) {
    struct granite_classification result = {.kind = GRANITE_KIND_NONE};
    PyObjectPointer type = happening->type;
    bool panic = false;
    result.kind = usual_kinds[happening->hook];
    if (type != py.PyExc_RuntimeError) {
        if (!granite_is_exception_class(type)) return (struct granite_classification){.kind = GRANITE_KIND_NONE};
        panic = is_panic(type);
        if (panic) result.kind = GRANITE_KIND_PANIC;
        if (is_no_mistake(happening)) result.kind = GRANITE_KIND_NONE;
    }
    uint64_t sentence_hash = 0;
    if ((panic || type == py.PyExc_RuntimeError) && (result.text = message(happening->value))) {
        ssize_t length = 0;
        const char *text = py.PyUnicode_AsUTF8AndSize(result.text, &length);
        if (text) sentence_hash = recognise(text, (size_t)length, &result.affinity);
        if (result.affinity.kind != GRANITE_AFFINITY_NONE) result.kind = GRANITE_KIND_DROP_SITE;
    }
    uint64_t hash = mix(offset_basis, result.kind);
    if (result.kind == GRANITE_KIND_DROP_SITE) {
        hash = mix(hash, sentence_hash);
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
