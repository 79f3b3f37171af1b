// Bounds what the application calls itself.

#define _GNU_SOURCE
#include "python_text.h"

#include <string.h>

#define py granite_hooks_python

/// Whether the byte begins or is a character of its own: not a continuation byte of UTF-8.
static bool begins(char byte) { return ((unsigned char)byte & 0xc0) != 0x80; }

/// Any thread.
void granite_text_append(struct granite_text *text, const char *bytes, size_t length, size_t limit) {
    size_t room = sizeof text->bytes - 1 - text->length;
    size_t kept = length < limit ? length : limit;
    if (kept > room) kept = room;
    if (kept < length)
        while (kept > 0 && !begins(bytes[kept])) kept--;
    for (size_t i = 0; i < kept; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        bool is_control = byte < 0x20 || byte == 0x7f;
        // U+0080 to U+009F are control characters of terminals as well.
        if (byte == 0xc2 && i + 1 < kept && (unsigned char)bytes[i + 1] < 0xa0) is_control = true, i++;
        text->bytes[text->length++] = is_control ? ' ' : (char)byte;
    }
    text->bytes[text->length] = 0;
}

/// Any thread.
void granite_text_append_string(struct granite_text *text, const char *string) {
    granite_text_append(text, string, strlen(string), sizeof text->bytes);
}

/// With the GIL held.
bool granite_text_append_str(struct granite_text *text, PyObjectPointer object, size_t limit) {
    if (!object || !py.PyType_IsSubtype(granite_type_of(object), py.PyUnicode_Type)) return false;
    // Cut first: a character is a byte at least, and to encode a huge str would take long.
    PyObjectPointer part = py.PyUnicode_Substring(object, 0, (ssize_t)limit + 1);
    PyObjectPointer encoded = part ? py.PyUnicode_AsEncodedString(part, "utf-8", "backslashreplace") : NULL;
    char *bytes;
    ssize_t length;
    bool is_known = encoded && py.PyBytes_AsStringAndSize(encoded, &bytes, &length) == 0;
    if (is_known) {
        granite_text_append(text, bytes, (size_t)length, limit);
        if ((size_t)length > limit) granite_text_append_string(text, "…");
    }
    granite_release(encoded);
    granite_release(part);
    py.PyErr_Clear();
    return is_known;
}

/// With the GIL held.
bool granite_text_append_attribute(struct granite_text *text, PyObjectPointer object, const char *name, size_t limit) {
    PyObjectPointer value = granite_attribute(object, name);
    bool is_known = granite_text_append_str(text, value, limit);
    granite_release(value);
    return is_known;
}

/// With the GIL held.
void granite_text_append_repr(struct granite_text *text, PyObjectPointer object, size_t limit) {
    PyObjectPointer shown = py.PyObject_Repr(object);
    if (!shown) py.PyErr_Clear();
    if (!granite_text_append_str(text, shown, limit)) granite_text_append_type(text, granite_type_of(object), true);
    granite_release(shown);
}

/// With the GIL held.
void granite_text_append_type(struct granite_text *text, PyObjectPointer type, bool is_full) {
    if (is_full) {
        struct granite_text module = {0};
        if (granite_text_append_attribute(&module, type, "__module__", 200) && strcmp(module.bytes, "builtins") != 0) {
            granite_text_append_string(text, module.bytes);
            granite_text_append_string(text, ".");
        }
    }
    if (!granite_text_append_attribute(text, type, is_full ? "__qualname__" : "__name__", 200))
        granite_text_append_string(text, "?");
}
