// CPython's C functions, looked up by name in a libpython that dlopen(3) opened: one binary serves every CPython 3.9 to
// 3.13. Separate from Swift because a table of C function pointers with their own names reads, and calls, like CPython
// itself.

#ifndef GRANITE_PYTHON_H
#define GRANITE_PYTHON_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <wchar.h>

#pragma clang assume_nonnull begin
#pragma clang diagnostic push
// The assumption does not reach pointers inside of the table's function types; the functions below have it.
#pragma clang diagnostic ignored "-Wnullability-completeness"

// The object header of every build with a GIL (Include/object.h). Free-threaded builds have another one and are
// refused.
typedef struct PyTypeObject PyTypeObject;
typedef struct PyObject {
    ssize_t ob_refcnt;
    PyTypeObject *ob_type;
} PyObject;
typedef struct PyThreadState PyThreadState;

// The structures that Python functions take by address; their layout is part of the stable ABI (PEP 384).
typedef struct PyMethodDef {
    const char *_Nullable ml_name;
    void *_Nullable ml_meth;
    int ml_flags;
    const char *_Nullable ml_doc;
} PyMethodDef;
typedef struct PyType_Slot {
    int slot;
    void *_Nullable pfunc;
} PyType_Slot;
typedef struct PyType_Spec {
    const char *name;
    int basicsize;
    int itemsize;
    unsigned int flags;
    PyType_Slot *slots;
} PyType_Spec;
// PyStatus of cpython/initconfig.h, unchanged from 3.8 to 3.13.
typedef struct PyStatus {
    int type;
    const char *_Nullable func;
    const char *_Nullable err_msg;
    int exitcode;
} PyStatus;

enum {
    GRANITE_METH_NOARGS = 0x0004,
    GRANITE_METH_O = 0x0008,
    GRANITE_METH_FASTCALL_KEYWORDS = 0x0080 | 0x0002,
    // Include/typeslots.h
    GRANITE_TP_CLEAR = 51,
    GRANITE_TP_DEALLOC = 52,
    GRANITE_TP_ITER = 62,
    GRANITE_TP_ITERNEXT = 63,
    GRANITE_TP_METHODS = 64,
    GRANITE_TP_NEW = 65,
    GRANITE_TP_TRAVERSE = 71,
    // Include/object.h
    GRANITE_TPFLAGS_DEFAULT = 1 << 18,
    GRANITE_TPFLAGS_HAVE_GC = 1 << 14,
    GRANITE_TPFLAGS_LIST_SUBCLASS = 1 << 25,
    GRANITE_TPFLAGS_TUPLE_SUBCLASS = 1 << 26,
    GRANITE_TPFLAGS_BYTES_SUBCLASS = 1 << 27,
    GRANITE_TPFLAGS_UNICODE_SUBCLASS = 1 << 28,
    GRANITE_TPFLAGS_BASE_EXC_SUBCLASS = 1 << 30,
};

/// Positional arguments, PEP 590.
typedef PyObject *_Nonnull const *_Nullable granite_python_vector;
/// Where a function stores a reference, or NULL.
typedef PyObject *_Nullable *_Nonnull granite_python_place;
typedef int (*granite_python_visit)(PyObject *object, void *_Nullable argument);

// X(return type, name, parameters, arguments). Required: exported by libpython 3.9 to 3.13.
#define GRANITE_PYTHON_REQUIRED(X)                                                                                     \
    X(const char *, Py_GetVersion, (void), ())                                                                         \
    X(void, PyPreConfig_InitPythonConfig, (void *config), (config))                                                    \
    X(PyStatus, Py_PreInitialize, (const void *config), (config))                                                      \
    X(wchar_t *_Nullable, Py_DecodeLocale, (const char *text, size_t *_Nullable size), (text, size))                   \
    X(void, Py_SetProgramName, (const wchar_t *name), (name))                                                          \
    X(void, Py_InitializeEx, (int signals), (signals))                                                                 \
    X(int, Py_FinalizeEx, (void), ())                                                                                  \
    X(PyThreadState *_Nullable, PyEval_SaveThread, (void), ())                                                         \
    X(void, PyEval_RestoreThread, (PyThreadState * state), (state))                                                    \
    X(void *_Nullable, PyInterpreterState_Get, (void), ())                                                             \
    X(int, PyGILState_Ensure, (void), ())                                                                              \
    X(void, PyGILState_Release, (int state), (state))                                                                  \
    X(void, Py_IncRef, (PyObject *_Nullable object), (object))                                                         \
    X(void, Py_DecRef, (PyObject *_Nullable object), (object))                                                         \
    X(unsigned long, PyType_GetFlags, (PyTypeObject * type), (type))                                                   \
    X(PyObject *_Nullable, PyType_FromSpec, (PyType_Spec * spec), (spec))                                              \
    X(PyObject *_Nullable, PyType_GenericAlloc, (PyTypeObject * type, ssize_t count), (type, count))                   \
    X(void, PyObject_Free, (void *memory), (memory))                                                                   \
    X(void, PyObject_GC_Del, (void *memory), (memory))                                                                 \
    X(void, PyObject_GC_UnTrack, (void *memory), (memory))                                                             \
    X(PyObject *_Nullable, PyCFunction_NewEx,                                                                          \
      (PyMethodDef * method, PyObject *_Nullable self, PyObject *_Nullable module),                                    \
      (method, self, module))                                                                                          \
    X(PyObject *_Nullable, PyImport_ImportModule, (const char *name), (name))                                          \
    X(PyObject *_Nullable, PyModule_GetDict, (PyObject * module), (module))                                            \
    X(PyObject *_Nullable, PySys_GetObject, (const char *name), (name))                                                \
    X(int, PySys_SetObject, (const char *name, PyObject *_Nullable value), (name, value))                              \
    X(PyObject *_Nullable, PyObject_GetAttr, (PyObject * object, PyObject *name), (object, name))                      \
    X(PyObject *_Nullable, PyObject_GetAttrString, (PyObject * object, const char *name), (object, name))              \
    X(int, PyObject_IsTrue, (PyObject * object), (object))                                                             \
    X(PyObject *_Nullable, PyObject_Repr, (PyObject * object), (object))                                               \
    X(PyObject *_Nullable, PyObject_Str, (PyObject * object), (object))                                                \
    X(PyObject *_Nullable, PyObject_CallObject, (PyObject * callable, PyObject *_Nullable arguments),                  \
      (callable, arguments))                                                                                           \
    X(PyObject *_Nullable, PyObject_VectorcallDict,                                                                    \
      (PyObject * callable, granite_python_vector arguments, size_t count, PyObject *_Nullable keywords),              \
      (callable, arguments, count, keywords))                                                                          \
    X(int, PyCallable_Check, (PyObject * object), (object))                                                            \
    X(PyObject *_Nullable, PyObject_GetIter, (PyObject * object), (object))                                            \
    X(PyObject *_Nullable, PyIter_Next, (PyObject * iterator), (iterator))                                             \
    X(PyObject *_Nullable, PyTuple_New, (ssize_t count), (count))                                                      \
    X(int, PyTuple_SetItem, (PyObject * tuple, ssize_t index, PyObject *_Nullable item), (tuple, index, item))         \
    X(PyObject *_Nullable, PyTuple_GetItem, (PyObject * tuple, ssize_t index), (tuple, index))                         \
    X(ssize_t, PyTuple_Size, (PyObject * tuple), (tuple))                                                              \
    X(PyObject *_Nullable, PyList_New, (ssize_t count), (count))                                                       \
    X(int, PyList_Append, (PyObject * list, PyObject *item), (list, item))                                             \
    X(int, PyList_Insert, (PyObject * list, ssize_t index, PyObject *item), (list, index, item))                       \
    X(PyObject *_Nullable, PyList_GetItem, (PyObject * list, ssize_t index), (list, index))                            \
    X(ssize_t, PyList_Size, (PyObject * list), (list))                                                                 \
    X(PyObject *_Nullable, PyDict_New, (void), ())                                                                     \
    X(ssize_t, PyDict_Size, (PyObject * dict), (dict))                                                                 \
    X(PyObject *_Nullable, PyDict_Copy, (PyObject * dict), (dict))                                                     \
    X(int, PyDict_SetItem, (PyObject * dict, PyObject *key, PyObject *value), (dict, key, value))                      \
    X(int, PyDict_Next,                                                                                                \
      (PyObject * dict, ssize_t *position, PyObject *_Nullable *_Nullable key, PyObject *_Nullable *_Nullable value),  \
      (dict, position, key, value))                                                                                    \
    X(PyObject *_Nullable, PyUnicode_DecodeLatin1, (const char *bytes, ssize_t count, const char *_Nullable errors),   \
      (bytes, count, errors))                                                                                          \
    X(PyObject *_Nullable, PyUnicode_DecodeFSDefaultAndSize, (const char *bytes, ssize_t count), (bytes, count))       \
    X(PyObject *_Nullable, PyUnicode_DecodeUTF8, (const char *bytes, ssize_t count, const char *_Nullable errors),     \
      (bytes, count, errors))                                                                                          \
    X(PyObject *_Nullable, PyUnicode_InternFromString, (const char *text), (text))                                     \
    X(void, PyUnicode_InternInPlace, (PyObject * _Nonnull *_Nonnull text), (text))                                     \
    X(PyObject *_Nullable, PyUnicode_AsLatin1String, (PyObject * text), (text))                                        \
    X(PyObject *_Nullable, PyUnicode_AsEncodedString, (PyObject * text, const char *encoding, const char *errors),     \
      (text, encoding, errors))                                                                                        \
    X(const char *_Nullable, PyUnicode_AsUTF8AndSize, (PyObject * text, ssize_t *_Nullable count), (text, count))      \
    X(ssize_t, PyUnicode_GetLength, (PyObject * text), (text))                                                         \
    X(PyObject *_Nullable, PyUnicode_Join, (PyObject * separator, PyObject *list), (separator, list))                  \
    X(PyObject *_Nullable, PyBytes_FromStringAndSize, (const char *_Nullable bytes, ssize_t count), (bytes, count))    \
    X(char *_Nullable, PyBytes_AsString, (PyObject * bytes), (bytes))                                                  \
    X(ssize_t, PyBytes_Size, (PyObject * bytes), (bytes))                                                              \
    X(PyObject *_Nullable, PyLong_FromLong, (long value), (value))                                                     \
    X(long, PyLong_AsLong, (PyObject * number), (number))                                                              \
    X(ssize_t, PyNumber_AsSsize_t, (PyObject * number, PyObject *_Nullable overflow), (number, overflow))              \
    X(int, PyFile_WriteString, (const char *text, PyObject *file), (text, file))                                       \
    X(PyObject *_Nullable, PyErr_Occurred, (void), ())                                                                 \
    X(void, PyErr_Clear, (void), ())                                                                                   \
    X(void, PyErr_SetString, (PyObject * type, const char *message), (type, message))                                  \
    X(int, PyErr_GivenExceptionMatches, (PyObject *_Nullable exception, PyObject *type), (exception, type))            \
    X(void, PyErr_Fetch,                                                                                               \
      (granite_python_place type, granite_python_place value, granite_python_place traceback),                         \
      (type, value, traceback))                                                                                        \
    X(void, PyErr_NormalizeException,                                                                                  \
      (granite_python_place type, granite_python_place value, granite_python_place traceback),                         \
      (type, value, traceback))                                                                                        \
    X(void, PyErr_Restore,                                                                                             \
      (PyObject * _Nullable type, PyObject *_Nullable value, PyObject *_Nullable traceback), (type, value, traceback)) \
    X(int, PyException_SetTraceback, (PyObject * exception, PyObject *traceback), (exception, traceback))              \
    X(void, PyErr_Display, (PyObject * _Nullable type, PyObject *_Nullable value, PyObject *_Nullable traceback),      \
      (type, value, traceback))

// Optional: callers use the wrapper that falls back, granite_python_call().
#define GRANITE_PYTHON_OPTIONAL(X)                                                                                     \
    /* A static inline function before 3.11; PyObject_VectorcallDict does the same through one more call. */           \
    X(PyObject *_Nullable, PyObject_Vectorcall,                                                                        \
      (PyObject * callable, granite_python_vector arguments, size_t count, PyObject *_Nullable keywords),              \
      (callable, arguments, count, keywords))

// Data, X(name, symbol): objects by their address, and X(name) for the exception class that PyExc_<name> points at.
#define GRANITE_PYTHON_OBJECTS(X)                                                                                      \
    X(None, _Py_NoneStruct)                                                                                            \
    X(True, _Py_TrueStruct)                                                                                            \
    X(False, _Py_FalseStruct)                                                                                          \
    X(list, PyList_Type)                                                                                               \
    X(tuple, PyTuple_Type)
#define GRANITE_PYTHON_EXCEPTIONS(X)                                                                                   \
    X(AssertionError) X(ModuleNotFoundError) X(OSError)                                                                \
    X(RuntimeError) X(TypeError) X(ValueError)

struct granite_python_table {
#define X(result, name, parameters, arguments) result (*_Nullable name) parameters;
    GRANITE_PYTHON_REQUIRED(X)
    GRANITE_PYTHON_OPTIONAL(X)
#undef X
#define X(name, symbol) PyObject *_Nullable object_##name;
    GRANITE_PYTHON_OBJECTS(X)
#undef X
#define X(name) PyObject *_Nullable exception_##name;
    GRANITE_PYTHON_EXCEPTIONS(X)
#undef X
    void *_Nullable runtime;
};

/// Filled once by granite_python_load(), read-only after.
extern struct granite_python_table granite_python;

enum granite_python_load_result {
    GRANITE_PYTHON_LOADED = 0,
    GRANITE_PYTHON_CANNOT_OPEN = 1,    ///< text: dlerror(3)
    GRANITE_PYTHON_MISSING_SYMBOL = 2, ///< text: the symbol's name
    GRANITE_PYTHON_FREE_THREADED = 3,  ///< text: Py_GetVersion()
};

/// Opens libpython (RTLD_NOW | RTLD_GLOBAL: extension modules find its symbols) and fills the table. Call once, before
/// any other function of this header. `text` gets a NUL-terminated, possibly shortened, explanation of a failure.
enum granite_python_load_result granite_python_load(const char *path, char *text, size_t capacity);

/// The address of `_PyRuntime`, where a reader outside of the process starts; NULL before granite_python_load().
void *_Nullable granite_python_runtime(void);

// Each function under its own name: Swift calls `PyDict_Copy(environ)` and sees no global variable.
#define X(result, name, parameters, arguments)                                                                         \
    static inline result name parameters { return granite_python.name arguments; }
GRANITE_PYTHON_REQUIRED(X)
#undef X
/// `granite_python_None()`, `granite_python_list()` …: borrowed.
#define X(name, symbol)                                                                                                \
    static inline PyObject *granite_python_##name(void) { return granite_python.object_##name; }
GRANITE_PYTHON_OBJECTS(X)
#undef X
/// `granite_python_ValueError()` …: borrowed.
#define X(name)                                                                                                        \
    static inline PyObject *granite_python_##name(void) { return granite_python.exception_##name; }
GRANITE_PYTHON_EXCEPTIONS(X)
#undef X

/// Calls with positional arguments; `arguments[-1]` may be overwritten meanwhile (PY_VECTORCALL_ARGUMENTS_OFFSET, PEP
/// 590), which lets bound methods be called without a copy.
static inline PyObject *_Nullable granite_python_call(PyObject *callable, granite_python_vector arguments,
                                                      size_t count) {
    size_t flagged = count | ((size_t)1 << (8 * sizeof(size_t) - 1));
    if (granite_python.PyObject_Vectorcall)
        return granite_python.PyObject_Vectorcall(callable, arguments, flagged, NULL);
    return granite_python.PyObject_VectorcallDict(callable, arguments, flagged, NULL);
}

#pragma clang diagnostic pop
#pragma clang assume_nonnull end

#endif
