// Finds the sentences in what PyO3 writes (src/impl_/pyclass.rs, src/gil.rs), in 0.19 and in newer versions.
//
// A drop is raised, into sys.unraisablehook:
//   0.19    X is unsendbale, but is dropped on another thread!
//   newer   X is unsendable, but is being dropped on another thread
// A use is a panic, hence a PanicException; the assertion's values, which differ each time, stand before it or behind:
//   0.19    assertion failed: `(left == right)`, two lines, then X is unsendable, but sent to another thread!
//   newer   assertion `left == right` failed: X is unsendable, but sent to another thread, then two lines
// A release without the GIL is a panic:
//   newer   Cannot drop pointer into Python heap without the GIL being held.
//   newest  Cannot drop pointer into Python heap without the thread being attached.

#define _GNU_SOURCE
#include "affinity.h"

#include <string.h>

static const char without_gil[] = "Cannot drop pointer into Python heap without the ";

/// What stands before the name of a type.
static bool is_separator(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '`' || byte == '\'' || byte == '"';
}

/// The text of `needle` in the `length` bytes at `text`, or NULL.
static const char *find(const char *text, size_t length, const char *needle) {
    return memmem(text, length, needle, strlen(needle));
}

/// Any thread.
struct granite_affinity granite_affinity_of(const char *text, size_t length) {
    struct granite_affinity affinity = {0};
    const char *end = text + length;
    const char *is = find(text, length, " is unsend");
    if (is) {
        const char *another = find(is, (size_t)(end - is), " another thread");
        size_t clause = another ? (size_t)(another - is) : 0;
        if (clause == 0 || clause > 60) return affinity;
        const char *type = is;
        while (type > text && !is_separator(type[-1])) type--;
        if (find(is, clause, "dropped on"))
            affinity.kind = GRANITE_AFFINITY_DROPPED;
        else if (find(is, clause, "sent to"))
            affinity.kind = GRANITE_AFFINITY_USED;
        else
            return affinity;
        affinity.type = type == is ? NULL : type;
        affinity.type_length = (size_t)(is - type);
        affinity.sentence = type;
        affinity.sentence_length = (size_t)(another - type) + strlen(" another thread");
    } else if ((is = find(text, length, without_gil))) {
        const char *line = memchr(is, '\n', (size_t)(end - is));
        affinity.kind = GRANITE_AFFINITY_WITHOUT_GIL;
        affinity.sentence = is;
        affinity.sentence_length = (size_t)((line ? line : end) - is);
    }
    return affinity;
}
