// A class whose objects refuse to be released on another thread than their maker's, as those of an unsendable PyO3 class do.

#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
    PyObject_HEAD
    long owner;
} Bound;

static PyObject *create(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    (void)arguments, (void)keywords;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Bound *self = (Bound *)allocate(type, 0);
    if (self) self->owner = syscall(SYS_gettid);
    return (PyObject *)self;
}

static void release(PyObject *self) {
    if (((Bound *)self)->owner != syscall(SYS_gettid)) {
        PyErr_SetString(PyExc_RuntimeError, "unsendable::Bound is unsendable, but is being dropped on another thread");
        PyErr_WriteUnraisable(NULL);
    }
    PyTypeObject *type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyType_Slot slots[] = {{Py_tp_new, create}, {Py_tp_dealloc, release}, {0, NULL}};
static PyType_Spec bound = {"unsendable.Bound", sizeof(Bound), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "unsendable", NULL, -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_unsendable(void) {
    PyObject *result = PyModule_Create(&module);
    if (result) PyModule_AddObject(result, "Bound", PyType_FromSpec(&bound));
    return result;
}
