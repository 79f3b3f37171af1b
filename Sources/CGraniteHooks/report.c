// Makes the report of an exception that reached a hook: who, what, where, and whether the collector of cycles was
// running.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collection.h"
#include "happening.h"
#include "python_text.h"

#define py granite_hooks_python

/// Bytes of the parts of a message, so that the place has room behind the words.
enum { longest_words = 500, longest_file = 300, longest_function = 100, longest_subject = 250 };
/// Lines of tracemalloc's that are told.
enum { most_allocations = 8 };

/// Whether the exception was made where an object was released, by code that is no Python's: the line that ran then has
/// nothing to do with it, and is another one each time.
static bool is_place_innocent(const struct granite_happening *happening,
                              const struct granite_classification *classification) {
    return happening->hook == GRANITE_HOOK_UNRAISABLE && classification->affinity.kind != GRANITE_AFFINITY_NONE &&
           (!happening->object || granite_type_of(happening->object) != py.PyFunction_Type);
}

/// "RuntimeError: no such shop (app.py:14 in lookup)".
static void describe_exception(const struct granite_happening *happening,
                               const struct granite_classification *classification, struct granite_text *text) {
    granite_text_append_type(text, happening->type, false);
    size_t bare = text->length;
    granite_text_append_string(text, ": ");
    const struct granite_affinity *affinity = &classification->affinity;
    if (affinity->kind != GRANITE_AFFINITY_NONE) {
        granite_text_append(text, affinity->sentence, affinity->sentence_length, longest_words);
    } else if (happening->value && happening->value != py._Py_NoneStruct) {
        PyObjectPointer words = py.PyObject_Str(happening->value);
        if (!words) py.PyErr_Clear();
        granite_text_append_str(text, words, longest_words);
        granite_release(words);
    }
    if (text->length == bare + 2) text->bytes[text->length = bare] = 0;  // it has no words

    if (is_place_innocent(happening, classification)) return;
    PyObjectPointer entry = granite_innermost_entry(happening->traceback);
    PyObjectPointer frame = granite_attribute(entry, "tb_frame");
    PyObjectPointer code = granite_attribute(frame, "f_code");
    PyObjectPointer line = granite_attribute(entry, "tb_lineno");
    if (code && line) {
        char number[32];
        granite_text_append_string(text, " (");
        if (!granite_text_append_attribute(text, code, "co_filename", longest_file))
            granite_text_append_string(text, "?");
        snprintf(number, sizeof number, ":%ld in ", py.PyLong_AsLong(line));
        granite_text_append_string(text, number);
        if (!granite_text_append_attribute(text, code, "co_name", longest_function))
            granite_text_append_string(text, "?");
        granite_text_append_string(text, ")");
    }
    granite_release(line);
    granite_release(code);
    granite_release(frame);
    granite_release(entry);
    py.PyErr_Clear();
}

static void describe_subject(const struct granite_happening *happening,
                             const struct granite_classification *classification, struct granite_text *text) {
    PyObjectPointer object = happening->object;
    bool has_object = object && object != py._Py_NoneStruct;
    if (classification->affinity.type) {
        granite_text_append(text, classification->affinity.type, classification->affinity.type_length, longest_subject);
    } else if (has_object && (happening->hook != GRANITE_HOOK_THREADING ||
                              !granite_text_append_attribute(text, object, "name", longest_subject))) {
        granite_text_append_repr(text, object, longest_subject);
    }
}

/// The first local variable of the frame that runs `function`: `self` of a `__del__`. A new reference, or NULL.
static PyObjectPointer first_argument(PyObjectPointer traceback, PyObjectPointer function) {
    PyObjectPointer frame = granite_attribute(traceback, "tb_frame");
    PyObjectPointer code = granite_attribute(frame, "f_code");
    PyObjectPointer result = NULL;
    if (code && code == py.PyFunction_GetCode(function)) {
        PyObjectPointer names = granite_attribute(code, "co_varnames");
        PyObjectPointer locals = granite_attribute(frame, "f_locals");
        PyObjectPointer name = names ? py.PyTuple_GetItem(names, 0) : NULL;
        result = name && locals ? py.PyObject_GetItem(locals, name) : NULL;
        granite_release(locals);
        granite_release(names);
    }
    granite_release(code);
    granite_release(frame);
    py.PyErr_Clear();
    return result;
}

/// The object that the report is of, a new reference: Python names the method `__del__` where the object is meant. NULL
/// if there is none.
static PyObjectPointer object_of(const struct granite_happening *happening) {
    PyObjectPointer object = happening->object;
    if (happening->hook != GRANITE_HOOK_UNRAISABLE || !object || object == py._Py_NoneStruct) return NULL;
    if (granite_type_of(object) == py.PyFunction_Type) {
        struct granite_text name = {0};
        granite_text_append_attribute(&name, object, "__name__", 64);
        if (strcmp(name.bytes, "__del__") == 0) return first_argument(happening->traceback, object);
    }
    py.Py_IncRef(object);
    return object;
}

/// Where tracemalloc saw the object being allocated, if it is on.
static void describe_allocation(PyObjectPointer object, struct granite_details *details) {
    PyObjectPointer module = granite_loaded_module("_tracemalloc");
    PyObjectPointer function = object ? granite_attribute(module, "_get_object_traceback") : NULL;
    PyObjectPointer frames = function ? py.PyObject_CallFunctionObjArgs(function, object, NULL) : NULL;
    for (ssize_t i = 0; frames && frames != py._Py_NoneStruct && i < most_allocations; i++) {
        PyObjectPointer frame = py.PyTuple_GetItem(frames, i);
        PyObjectPointer line = frame ? py.PyTuple_GetItem(frame, 1) : NULL;
        struct granite_text file = {0};
        if (!line || !granite_text_append_str(&file, py.PyTuple_GetItem(frame, 0), longest_file)) break;
        granite_details_add(details, "allocated", "%s:%ld", file.bytes, py.PyLong_AsLong(line));
    }
    granite_release(frames);
    granite_release(function);
    granite_release(module);
    py.PyErr_Clear();
}

static const char *hook_name(const struct granite_happening *happening) {
    switch (happening->hook) {
        case GRANITE_HOOK_UNRAISABLE: return "unraisable";
        case GRANITE_HOOK_THREADING: return "threading";
        case GRANITE_HOOK_SYS: return "sys";
        case GRANITE_HOOK_RETURNED: return "rust";
    }
    return "";
}

/// What a report is put together in. On the heap: a thread's stack may be 32 KiB.
struct composition {
    struct granite_text message;
    struct granite_text subject;
    struct granite_text type;
    struct granite_details details;
    struct granite_owner owner;
};

/// Gathers what is known of the object, and captures.
static void capture(const struct granite_happening *happening, const struct granite_classification *classification,
                    struct composition *made) {
    const struct granite_affinity *affinity = &classification->affinity;
    PyObjectPointer object = object_of(happening);
    granite_details_add(&made->details, "hook", "%s", hook_name(happening));
    granite_collection_describe(&made->details);
    describe_allocation(object, &made->details);
    if (affinity->type)
        granite_text_append(&made->type, affinity->type, affinity->type_length, longest_subject);
    else if (object)
        granite_text_append_type(&made->type, granite_type_of(object), true);
    bool is_unsendable = affinity->kind == GRANITE_AFFINITY_DROPPED || affinity->kind == GRANITE_AFFINITY_USED;
    if (made->type.length > 0)
        granite_describe_object(object, object ? granite_type_of(object) : NULL, is_unsendable, made->type.bytes,
                                &made->details, &made->owner);
    py.PyErr_Clear();
    struct granite_occasion_report report = {
        .kind = classification->kind,
        .owner_tid = made->owner.tid,
        .fingerprint = classification->fingerprint,
        .subject = made->subject.bytes,
        .message = made->message.bytes,
        .owner_name = made->owner.name,
        .created_ns = made->owner.created_ns,
        .creation_frames = made->owner.frames,
        .creation_frame_count = made->owner.frame_count,
        .details = made->details.text,
    };
    granite_capture_occasion(&report);
    granite_release(object);
}

static void granite_hooks_report(const struct granite_happening *happening,
                                 const struct granite_classification *classification, bool is_new) {
    struct composition *made = calloc(1, sizeof *made);
    if (!made) return;
    describe_exception(happening, classification, &made->message);
    describe_subject(happening, classification, &made->subject);
    if (!is_new || granite_occasion_count(classification->kind, classification->fingerprint, made->subject.bytes,
                                          made->message.bytes))
        capture(happening, classification, made);
    free(made);
}

/// With the GIL held.
void granite_hooks_tell(const struct granite_happening *happening) {
    // What goes wrong while a report is made is no occasion of its own.
    static __thread bool is_telling;
    if (is_telling || !granite_capture_page()) return;
    is_telling = true;
    struct granite_classification classification = granite_hooks_classify(happening);
    if (classification.kind != GRANITE_KIND_NONE) {
        // Only the first is counted with its texts: to make them takes longer than to count.
        bool is_new = granite_occasion_is_new(classification.fingerprint);
        if (is_new || granite_occasion_count(classification.kind, classification.fingerprint, NULL, NULL))
            granite_hooks_report(happening, &classification, is_new);
    }
    granite_release(classification.text);
    is_telling = false;
}
