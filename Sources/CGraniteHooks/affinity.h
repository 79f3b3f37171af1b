// Recognises the sentences of PyO3 about objects that are bound to a thread. Pure: text in, text out.

#ifndef GRANITE_AFFINITY_H
#define GRANITE_AFFINITY_H

#include <stdbool.h>
#include <stddef.h>

enum granite_affinity_kind {
    GRANITE_AFFINITY_NONE = 0,
    GRANITE_AFFINITY_DROPPED = 1,      ///< released on another thread than its owner
    GRANITE_AFFINITY_USED = 2,         ///< called on another thread than its owner
    GRANITE_AFFINITY_WITHOUT_GIL = 3,  ///< released by a thread that does not hold the GIL
};

struct granite_affinity {
    enum granite_affinity_kind kind;
    const char *sentence;  ///< within the text; without what changes from one time to the next
    size_t sentence_length;
    const char *type;  ///< within the text: `_granian::wsgi::io::WSGIProtocol`; NULL if it is not said
    size_t type_length;
};

/// NONE if it is another text.
struct granite_affinity granite_affinity_of(const char *text, size_t length);

#endif
