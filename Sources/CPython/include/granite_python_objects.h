// Layouts of the objects that Granite shows to applications. In C because Python allocates them by size and Swift does
// not promise the layout of its structs.

#ifndef GRANITE_PYTHON_OBJECTS_H
#define GRANITE_PYTHON_OBJECTS_H

#include "granite_python.h"

#pragma clang assume_nonnull begin

/// `wsgi.input`: a cursor over a body that the transport holds. The transport's buffer and descriptor are only
/// reachable while `open`; when the request ends they are forgotten, and the object may live on, and die on any thread.
struct granite_input {
    PyObject head;
    const uint8_t *_Nullable bytes;  ///< body in memory, or NULL
    ssize_t length;                  ///< bytes of the whole body
    ssize_t position;                ///< next byte to read, 0 to length
    int descriptor;                  ///< body in a file, or -1
    int open;                        ///< 0 once the request is over
};

/// What `start_response` and `write` are bound to. It knows the serving thread only while the request lasts.
struct granite_response {
    PyObject head;
    void *_Nullable thread;  ///< the WSGIThread that serves the request, not owned; NULL once it is over
    PyObject *_Nullable write;       ///< what `start_response` returns, not owned; NULL once it is over
};

/// `wsgi.file_wrapper(file, block_size)`.
struct granite_file_wrapper {
    PyObject head;
    PyObject *_Nullable file;
    ssize_t block_size;
};

#pragma clang assume_nonnull end

#endif
