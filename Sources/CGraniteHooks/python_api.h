// The functions of the interpreter that runs in this process, looked up by name: one binary serves any program that holds a CPython 3.9 to
// 3.13, linked in, as a shared library or opened late. No Python.h, neither at run time nor to build.

#ifndef GRANITE_PYTHON_API_H
#define GRANITE_PYTHON_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "describe.h"

/// The structures whose layout is part of the stable ABI (PEP 384).
struct granite_method {
    const char *name;
    void *function;
    int flags;
    const char *documentation;
};

enum {
    GRANITE_METHOD_VARARGS = 0x0001,
    GRANITE_METHOD_ONE = 0x0008,
    GRANITE_METHOD_FASTCALL = 0x0080,
    GRANITE_TYPE_IS_EXCEPTION = 1 << 30,
};
/// Instances of the type are types.
#define GRANITE_TYPE_IS_TYPE (1ul << 31)

#define GRANITE_PYTHON_FUNCTIONS(F)                                                                     \
    F(void, PyErr_Fetch, (PyObjectPointer *, PyObjectPointer *, PyObjectPointer *))                     \
    F(void, PyErr_Restore, (PyObjectPointer, PyObjectPointer, PyObjectPointer))                         \
    F(void, PyErr_Clear, (void))                                                                        \
    F(PyObjectPointer, PyErr_Occurred, (void))                                                          \
    F(void, Py_IncRef, (PyObjectPointer))                                                               \
    F(void, Py_DecRef, (PyObjectPointer))                                                               \
    F(PyObjectPointer, PyObject_GetAttrString, (PyObjectPointer, const char *))                         \
    F(int, PyObject_SetAttrString, (PyObjectPointer, const char *, PyObjectPointer))                    \
    F(PyObjectPointer, PyObject_GetItem, (PyObjectPointer, PyObjectPointer))                            \
    F(PyObjectPointer, PyObject_Repr, (PyObjectPointer))                                                \
    F(PyObjectPointer, PyObject_Str, (PyObjectPointer))                                                 \
    F(PyObjectPointer, PyObject_Call, (PyObjectPointer, PyObjectPointer, PyObjectPointer))              \
    F(PyObjectPointer, PyObject_CallFunctionObjArgs, (PyObjectPointer, ...))                            \
    F(unsigned long, PyType_GetFlags, (PyObjectPointer))                                                \
    F(int, PyType_IsSubtype, (PyObjectPointer, PyObjectPointer))                                        \
    F(PyObjectPointer, PyTuple_GetItem, (PyObjectPointer, ssize_t))                                     \
    F(ssize_t, PyTuple_Size, (PyObjectPointer))                                                         \
    F(ssize_t, PyList_Size, (PyObjectPointer))                                                          \
    F(PyObjectPointer, PyList_GetItem, (PyObjectPointer, ssize_t))                                      \
    F(int, PyList_Append, (PyObjectPointer, PyObjectPointer))                                           \
    F(PyObjectPointer, PyDict_GetItemString, (PyObjectPointer, const char *))                           \
    F(long, PyLong_AsLong, (PyObjectPointer))                                                           \
    F(PyObjectPointer, PyUnicode_FromString, (const char *))                                            \
    F(const char *, PyUnicode_AsUTF8AndSize, (PyObjectPointer, ssize_t *))                              \
    F(ssize_t, PyUnicode_GetLength, (PyObjectPointer))                                                  \
    F(PyObjectPointer, PyUnicode_Substring, (PyObjectPointer, ssize_t, ssize_t))                        \
    F(PyObjectPointer, PyUnicode_AsEncodedString, (PyObjectPointer, const char *, const char *))        \
    F(int, PyBytes_AsStringAndSize, (PyObjectPointer, char **, ssize_t *))                              \
    F(PyObjectPointer, PyImport_GetModule, (PyObjectPointer))                                           \
    F(PyObjectPointer, PyImport_ImportModule, (const char *))                                           \
    F(PyObjectPointer, PySys_GetObject, (const char *))                                                 \
    F(PyObjectPointer, PySys_GetXOptions, (void))                                                       \
    F(PyObjectPointer, PyFunction_GetCode, (PyObjectPointer))                                           \
    F(PyObjectPointer, PyCFunction_NewEx, (struct granite_method *, PyObjectPointer, PyObjectPointer))  \
    F(void *, PyCFunction_GetFunction, (PyObjectPointer))

/// Objects of the interpreter that have a symbol of their own, and variables that point to one.
#define GRANITE_PYTHON_OBJECTS(O) \
    O(_Py_NoneStruct)             \
    O(PyUnicode_Type)             \
    O(PyFunction_Type)            \
    O(PyCFunction_Type)
#define GRANITE_PYTHON_VARIABLES(V) \
    V(PyExc_Exception)              \
    V(PyExc_RuntimeError)           \
    V(PyExc_BrokenPipeError)        \
    V(PyExc_KeyboardInterrupt)      \
    V(PyExc_SystemExit)             \
    V(PyExc_GeneratorExit)

struct granite_hooks_python {
    bool is_loaded;
    int minor;  ///< of the version 3.minor
#define GRANITE_FIELD(result, name, parameters) result(*name) parameters;
    GRANITE_PYTHON_FUNCTIONS(GRANITE_FIELD)
#undef GRANITE_FIELD
#define GRANITE_FIELD(name) PyObjectPointer name;
    GRANITE_PYTHON_OBJECTS(GRANITE_FIELD)
    GRANITE_PYTHON_VARIABLES(GRANITE_FIELD)
#undef GRANITE_FIELD
};

/// Valid once `is_loaded`; never written after.
extern struct granite_hooks_python granite_hooks_python;

/// Fills the table. False if there is no interpreter, it lacks a function, it is not of 3.9 to 3.13, is free-threaded or traces references
/// (Py_TRACE_REFS: its objects have another head). With the GIL held.
bool granite_hooks_load_python(void);

/// The object's type; no reference. The head of every build with a GIL is a counter, then the type.
static inline PyObjectPointer granite_type_of(PyObjectPointer object) { return ((PyObjectPointer *)object)[1]; }

/// Whether `object` is a class that can be raised. With the GIL held.
bool granite_is_exception_class(PyObjectPointer object);

/// sys.modules[name]: a new reference, or NULL without an error. Imports nothing. With the GIL held.
PyObjectPointer granite_loaded_module(const char *name);

/// An attribute: a new reference, or NULL without an error. With the GIL held.
PyObjectPointer granite_attribute(PyObjectPointer object, const char *name);

/// With the GIL held; NULL is none.
void granite_release(PyObjectPointer object);

#endif
