// What is looked at of types, frames and references: CPython's functions for them, and the few offsets of its
// structures that are the same in 3.9 to 3.13. Separate from python_api, which the hooks need for any report: this is
// for objects alone.

#ifndef GRANITE_OBJECT_API_H
#define GRANITE_OBJECT_API_H

#include "python_api.h"

typedef int (*granite_visit)(PyObjectPointer object, void *argument);
typedef int (*granite_traverse)(PyObjectPointer object, granite_visit visit, void *argument);
typedef PyObjectPointer (*granite_allocate)(void *type, ssize_t items);
typedef void (*granite_deallocate)(PyObjectPointer object);

/// Offsets in PyTypeObject (Include/cpython/object.h) of builds whose objects' head is a counter and a type.
enum granite_type_offset {
    GRANITE_TYPE_NAME = 24,
    GRANITE_TYPE_DEALLOC = 48,
    GRANITE_TYPE_FLAGS = 168,
    GRANITE_TYPE_TRAVERSE = 184,
    GRANITE_TYPE_BASE = 256,
    GRANITE_TYPE_DICT = 264,
    GRANITE_TYPE_ALLOC = 304,
    GRANITE_TYPE_FINALIZE = 392,
};

/// Numbers of slots (Include/typeslots.h) and flags (Include/object.h).
enum { GRANITE_SLOT_ALLOC = 47, GRANITE_SLOT_DEALLOC = 52 };
enum { GRANITE_TYPE_IS_ON_HEAP = 1 << 9, GRANITE_TYPE_IS_COLLECTED = 1 << 14 };

#define GRANITE_OBJECT_FUNCTIONS(F)                                       \
    F(void *, PyType_GetSlot, (void *, int))                              \
    F(int, PyObject_IsTrue, (PyObjectPointer))                            \
    F(void, PyObject_GC_UnTrack, (PyObjectPointer))                       \
    F(PyObjectPointer, PyTuple_New, (ssize_t))                            \
    F(int, PyTuple_SetItem, (PyObjectPointer, ssize_t, PyObjectPointer))  \
    F(PyObjectPointer, PyEval_GetFrame, (void))                           \
    F(PyObjectPointer, PyFrame_GetCode, (PyObjectPointer))                \
    F(int, PyFrame_GetLineNumber, (PyObjectPointer))
#define GRANITE_OBJECT_TYPES(T) \
    T(PyType_Type)              \
    T(PyBaseObject_Type)        \
    T(PyDict_Type)              \
    T(PyModule_Type)            \
    T(PyCode_Type)              \
    T(PyFrame_Type)             \
    T(PyTraceBack_Type)

struct granite_object_api {
#define GRANITE_FIELD(result, name, parameters) result(*name) parameters;
    GRANITE_OBJECT_FUNCTIONS(GRANITE_FIELD)
#undef GRANITE_FIELD
#define GRANITE_FIELD(name) void *name;
    GRANITE_OBJECT_TYPES(GRANITE_FIELD)
#undef GRANITE_FIELD
};

/// Valid once granite_load_object_api said true; never written after.
extern struct granite_object_api granite_object_api;

/// Fills this table and granite_hooks_python. False if there is no interpreter that is known. With the GIL held.
bool granite_load_object_api(void);

/// A word of a type object; `offset` is one of enum granite_type_offset. With the GIL held.
static inline void **granite_type_word(void *type, int offset) { return (void **)((char *)type + offset); }

/// Whether `type` is `base` or derives from it by first bases, as types of C do. With the GIL held.
bool granite_type_derives(void *type, void *base);

/// `module.Name` of a type. Runs no code of the application. With the GIL held.
void granite_type_name(void *type, char *name, size_t capacity);

/// What follows the last `.` or `:` of a type's name. Pure.
const char *granite_last_component(const char *name);

/// `lookup (app.py:11)`, or the path within site-packages where the file is an installed one. False if it cannot be
/// told. Leaves an error that was set as it is. Where no Python function runs, `frame` is NULL. With the GIL held.
bool granite_frame_place(PyObjectPointer frame, char *place, size_t capacity);

/// Where a frame is, cheaply: its code and the address or number of its instruction. Two frames with the same are at
/// the same place.
struct granite_frame_position {
    PyObjectPointer code;  ///< no reference
    uint64_t instruction;
};

/// False if there is no frame, or its layout is not as it should be. With the GIL held.
bool granite_frame_position(PyObjectPointer frame, struct granite_frame_position *position);

/// The name of the local variable of a frame object that is `value`; false if there is none. Reads the frame and
/// changes nothing: its f_locals would keep all values alive. Leaves no error. With the GIL held.
bool granite_frame_local(PyObjectPointer frame, PyObjectPointer value, char *name, size_t capacity);

#endif
