// Copies Python's words into bounded C strings. Separate because every text of the application may be hostile: endless,
// broken, or an error of its own. All functions need the GIL, swallow what goes wrong and leave no error set.

#ifndef GRANITE_PYTHON_TEXT_H
#define GRANITE_PYTHON_TEXT_H

#include "python_api.h"

/// A text that is cut where it is full, at a whole character of UTF-8. Starts as {0}.
struct granite_text {
    char bytes[1024];  ///< NUL-terminated
    size_t length;
};

/// Appends at most `limit` bytes; control characters become spaces.
void granite_text_append(struct granite_text *text, const char *bytes, size_t length, size_t limit);

/// Appends a C string.
void granite_text_append_string(struct granite_text *text, const char *string);

/// Appends a str, lone surrogates escaped. False if `object` is none.
bool granite_text_append_str(struct granite_text *text, PyObjectPointer object, size_t limit);

/// Appends a str attribute. False if there is none.
bool granite_text_append_attribute(struct granite_text *text, PyObjectPointer object, const char *name, size_t limit);

/// Appends `repr(object)`, or the name of its type where that fails. Runs Python code.
void granite_text_append_repr(struct granite_text *text, PyObjectPointer object, size_t limit);

/// Appends the name of a class: `ValueError`, or `app.Mistake` with `is_full`, which leaves out `builtins` alone.
void granite_text_append_type(struct granite_text *text, PyObjectPointer type, bool is_full);

#endif
