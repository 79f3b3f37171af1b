// Prints the row of PythonLayout+table.swift for the CPython whose headers it is compiled with.
// Separate from the collector: it needs CPython's internal headers, which no machine that runs Granite has.

#define Py_BUILD_CORE 1
#include <Python.h>
// Python.h comes first (C API manual, "Include Files").
#include <frameobject.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"
#if PY_VERSION_HEX >= 0x030b0000
#include "internal/pycore_dict.h"
#include "internal/pycore_frame.h"
#else
/// No header has it (Objects/dict-common.h of 3.9 and 3.10).
struct _dictkeysobject {
    Py_ssize_t dk_refcnt;
    Py_ssize_t dk_size;
    void *dk_lookup;
    Py_ssize_t dk_usable;
    Py_ssize_t dk_nentries;
    char dk_indices[];
};
#endif

#if PY_VERSION_HEX < 0x03090000 || PY_VERSION_HEX >= 0x030e0000
#error "Granite reads CPython 3.9 to 3.13; teach PythonStackReader the new version before generating its row."
#endif
#if defined(Py_DEBUG) || defined(Py_TRACE_REFS) || defined(Py_GIL_DISABLED)
#error "The rows are those of release builds."
#endif

static int column;

static void value(const char *name, long number) {
    column += printf("%s%s: %ld", column == 0 ? "        " : ", ", name, number);
}

static void absent(const char *name) { column += printf("%s%s: nil", column == 0 ? "        " : ", ", name); }

static void end_line(const char *punctuation) {
    printf("%s\n", punctuation);
    column = 0;
}

#define OFFSET(name, type, field) value(name, (long)offsetof(type, field))

#define DEBUG_OFFSET(name, field) OFFSET(name, _Py_DebugOffsets, field)

/// Position of the lowest bit of a bit field of PyASCIIObject.state, as the compiler laid it out.
#define BIT(field)                                   \
    ({                                               \
        PyASCIIObject object;                        \
        uint32_t word = 0;                           \
        memset(&object, 0, sizeof object);           \
        object.state.field = 1;                      \
        memcpy(&word, &object.state, sizeof word);   \
        (long)__builtin_ctz(word);                   \
    })

static void print_objects(void);

int main(int count, char **arguments) {
    if (count > 1 && strcmp(arguments[1], "--objects") == 0) {
        print_objects();
        return 0;
    }
    printf("    static let python3%d = PythonLayout(\n", PY_MINOR_VERSION);
    value("minor", PY_MINOR_VERSION);
    end_line(",");

    OFFSET("runtimeInterpreters", _PyRuntimeState, interpreters.head);
#if PY_VERSION_HEX >= 0x030c0000
    absent("runtimeGIL");
#else
    OFFSET("runtimeGIL", _PyRuntimeState, ceval.gil);
#endif
    end_line(",");

    OFFSET("interpreterNext", PyInterpreterState, next);
    OFFSET("interpreterRuntime", PyInterpreterState, runtime);
#if PY_VERSION_HEX >= 0x030b0000
    OFFSET("interpreterThreads", PyInterpreterState, threads.head);
#else
    OFFSET("interpreterThreads", PyInterpreterState, tstate_head);
#endif
    end_line(",");

    OFFSET("interpreterCollecting", PyInterpreterState, gc.collecting);
#if PY_VERSION_HEX >= 0x030c0000
    OFFSET("interpreterGIL", PyInterpreterState, ceval.gil);
#else
    absent("interpreterGIL");
#endif
    end_line(",");

    OFFSET("gilHolder", struct _gil_runtime_state, last_holder);
    OFFSET("gilLocked", struct _gil_runtime_state, locked);
    value("gilBytes", (long)sizeof(struct _gil_runtime_state));
    end_line(",");

    OFFSET("threadNext", PyThreadState, next);
    OFFSET("threadInterpreter", PyThreadState, interp);
    OFFSET("threadID", PyThreadState, thread_id);
#if PY_VERSION_HEX >= 0x030b0000
    OFFSET("threadNativeID", PyThreadState, native_thread_id);
#else
    absent("threadNativeID");
#endif
    end_line(",");

#if PY_VERSION_HEX >= 0x030d0000
    OFFSET("threadFrame", PyThreadState, current_frame);
    absent("threadCFrame");
    absent("cframeFrame");
#elif PY_VERSION_HEX >= 0x030b0000
    absent("threadFrame");
    OFFSET("threadCFrame", PyThreadState, cframe);
    OFFSET("cframeFrame", _PyCFrame, current_frame);
#else
    OFFSET("threadFrame", PyThreadState, frame);
#if PY_VERSION_HEX >= 0x030a0000
    OFFSET("threadCFrame", PyThreadState, cframe);
#else
    absent("threadCFrame");
#endif
    absent("cframeFrame");
#endif
    end_line(",");

#if PY_VERSION_HEX >= 0x030b0000
    OFFSET("framePrevious", _PyInterpreterFrame, previous);
#if PY_VERSION_HEX >= 0x030d0000
    OFFSET("frameCode", _PyInterpreterFrame, f_executable);
    OFFSET("frameInstruction", _PyInterpreterFrame, instr_ptr);
#else
    OFFSET("frameCode", _PyInterpreterFrame, f_code);
    OFFSET("frameInstruction", _PyInterpreterFrame, prev_instr);
#endif
#if PY_VERSION_HEX >= 0x030c0000
    absent("frameIsEntry");
    OFFSET("frameOwner", _PyInterpreterFrame, owner);
#else
    OFFSET("frameIsEntry", _PyInterpreterFrame, is_entry);
    absent("frameOwner");
#endif
#else
    OFFSET("framePrevious", PyFrameObject, f_back);
    OFFSET("frameCode", PyFrameObject, f_code);
    OFFSET("frameInstruction", PyFrameObject, f_lasti);
    absent("frameIsEntry");
    absent("frameOwner");
#endif
    end_line(",");

    OFFSET("codeFile", PyCodeObject, co_filename);
    OFFSET("codeName", PyCodeObject, co_name);
#if PY_VERSION_HEX >= 0x030b0000
    OFFSET("codeQualifiedName", PyCodeObject, co_qualname);
#else
    absent("codeQualifiedName");
#endif
    end_line(",");

    OFFSET("codeFirstLine", PyCodeObject, co_firstlineno);
#if PY_VERSION_HEX >= 0x030a0000
    OFFSET("codeLineTable", PyCodeObject, co_linetable);
#else
    OFFSET("codeLineTable", PyCodeObject, co_lnotab);
#endif
#if PY_VERSION_HEX >= 0x030b0000
    OFFSET("codeInstructions", PyCodeObject, co_code_adaptive);
#else
    absent("codeInstructions");
#endif
    end_line(",");

    OFFSET("objectType", PyObject, ob_type);
    OFFSET("objectSize", PyVarObject, ob_size);
    OFFSET("typeName", PyTypeObject, tp_name);
    OFFSET("bytesData", PyBytesObject, ob_sval);
    end_line(",");

    OFFSET("textLength", PyASCIIObject, length);
    OFFSET("textState", PyASCIIObject, state);
    end_line(",");

    value("textKindBit", BIT(kind));
    value("textCompactBit", BIT(compact));
    value("textASCIIBit", BIT(ascii));
    value("textASCIIData", (long)sizeof(PyASCIIObject));
    value("textData", (long)sizeof(PyCompactUnicodeObject));
    end_line(")");

#if PY_VERSION_HEX >= 0x030d0000
    printf("\n    /// Where _Py_DebugOffsets, at the start of _PyRuntime, holds each of these.\n");
    printf("    static let debugOffsets3%d = PythonDebugOffsets(\n", PY_MINOR_VERSION);
    DEBUG_OFFSET("version", version);
    DEBUG_OFFSET("freeThreaded", free_threaded);
    value("size", (long)sizeof(_Py_DebugOffsets));
    end_line(",");
    DEBUG_OFFSET("runtimeInterpreters", runtime_state.interpreters_head);
    end_line(",");
    DEBUG_OFFSET("interpreterNext", interpreter_state.next);
    DEBUG_OFFSET("interpreterThreads", interpreter_state.threads_head);
    DEBUG_OFFSET("interpreterGC", interpreter_state.gc);
    DEBUG_OFFSET("gcCollecting", gc.collecting);
    end_line(",");
    DEBUG_OFFSET("interpreterGIL", interpreter_state.ceval_gil);
    DEBUG_OFFSET("ownGIL", interpreter_state.gil_runtime_state);
    DEBUG_OFFSET("ownGILHolder", interpreter_state.gil_runtime_state_holder);
    DEBUG_OFFSET("ownGILLocked", interpreter_state.gil_runtime_state_locked);
    end_line(",");
    DEBUG_OFFSET("threadNext", thread_state.next);
    DEBUG_OFFSET("threadInterpreter", thread_state.interp);
    DEBUG_OFFSET("threadID", thread_state.thread_id);
    DEBUG_OFFSET("threadNativeID", thread_state.native_thread_id);
    end_line(",");
    DEBUG_OFFSET("threadFrame", thread_state.current_frame);
    end_line(",");
    DEBUG_OFFSET("framePrevious", interpreter_frame.previous);
    DEBUG_OFFSET("frameCode", interpreter_frame.executable);
    DEBUG_OFFSET("frameInstruction", interpreter_frame.instr_ptr);
    DEBUG_OFFSET("frameOwner", interpreter_frame.owner);
    end_line(",");
    DEBUG_OFFSET("codeFile", code_object.filename);
    DEBUG_OFFSET("codeName", code_object.name);
    DEBUG_OFFSET("codeQualifiedName", code_object.qualname);
    end_line(",");
    DEBUG_OFFSET("codeFirstLine", code_object.firstlineno);
    DEBUG_OFFSET("codeLineTable", code_object.linetable);
    DEBUG_OFFSET("codeInstructions", code_object.co_code_adaptive);
    end_line(",");
    DEBUG_OFFSET("objectType", pyobject.ob_type);
    DEBUG_OFFSET("typeName", type_object.tp_name);
    DEBUG_OFFSET("bytesSize", bytes_object.ob_size);
    DEBUG_OFFSET("bytesData", bytes_object.ob_sval);
    end_line(",");
    DEBUG_OFFSET("textLength", unicode_object.length);
    DEBUG_OFFSET("textState", unicode_object.state);
    DEBUG_OFFSET("textASCIIData", unicode_object.asciiobject_size);
    end_line(")");
#endif
    return 0;
}

/// What exceptions, names of threads and local variables are read by.
static void print_objects(void) {
    printf("    static let python3%d = PythonObjectLayout(\n", PY_MINOR_VERSION);
    value("minor", PY_MINOR_VERSION);
    end_line(",");

    OFFSET("interpreterMiddleGeneration", PyInterpreterState, gc.generations[1].count);
    OFFSET("interpreterOldGeneration", PyInterpreterState, gc.generations[2].count);
    end_line(",");

    OFFSET("threadHandled", PyThreadState, exc_info);
#if PY_VERSION_HEX >= 0x030c0000
    OFFSET("threadRaised", PyThreadState, current_exception);
#else
    OFFSET("threadRaised", PyThreadState, curexc_value);
#endif
    OFFSET("handledValue", _PyErr_StackItem, exc_value);
    OFFSET("handledPrevious", _PyErr_StackItem, previous_item);
    end_line(",");

    OFFSET("exceptionArguments", PyBaseExceptionObject, args);
    OFFSET("exceptionTraceback", PyBaseExceptionObject, traceback);
    end_line(",");

    OFFSET("tracebackNext", PyTracebackObject, tb_next);
    OFFSET("tracebackFrame", PyTracebackObject, tb_frame);
    OFFSET("tracebackInstruction", PyTracebackObject, tb_lasti);
    OFFSET("tracebackLine", PyTracebackObject, tb_lineno);
    end_line(",");

#if PY_VERSION_HEX >= 0x030b0000
    OFFSET("frameObjectFrame", PyFrameObject, f_frame);
    OFFSET("frameLocals", _PyInterpreterFrame, localsplus);
#else
    absent("frameObjectFrame");
    OFFSET("frameLocals", PyFrameObject, f_localsplus);
#endif
    end_line(",");

#if PY_VERSION_HEX >= 0x030b0000
    OFFSET("codeLocalNames", PyCodeObject, co_localsplusnames);
    OFFSET("codeLocalKinds", PyCodeObject, co_localspluskinds);
    absent("codeCellNames");
    absent("codeFreeNames");
#else
    OFFSET("codeLocalNames", PyCodeObject, co_varnames);
    absent("codeLocalKinds");
    OFFSET("codeCellNames", PyCodeObject, co_cellvars);
    OFFSET("codeFreeNames", PyCodeObject, co_freevars);
#endif
    OFFSET("cellValue", PyCellObject, ob_ref);
    end_line(",");

    OFFSET("typeFlags", PyTypeObject, tp_flags);
    OFFSET("typeBasicSize", PyTypeObject, tp_basicsize);
    OFFSET("typeDictOffset", PyTypeObject, tp_dictoffset);
    OFFSET("typeDict", PyTypeObject, tp_dict);
    OFFSET("typeCachedKeys", PyHeapTypeObject, ht_cached_keys);
    end_line(",");

    OFFSET("tupleItems", PyTupleObject, ob_item);
    OFFSET("listItems", PyListObject, ob_item);
    OFFSET("floatValue", PyFloatObject, ob_fval);
#if PY_VERSION_HEX >= 0x030c0000
    OFFSET("intDigits", PyLongObject, long_value.ob_digit);
#else
    OFFSET("intDigits", PyLongObject, ob_digit);
#endif
    OFFSET("setUsed", PySetObject, used);
    end_line(",");

    OFFSET("dictUsed", PyDictObject, ma_used);
    OFFSET("dictKeys", PyDictObject, ma_keys);
    OFFSET("dictValues", PyDictObject, ma_values);
    end_line(",");

#if PY_VERSION_HEX >= 0x030b0000
    OFFSET("keysLog2IndexBytes", PyDictKeysObject, dk_log2_index_bytes);
    OFFSET("keysKind", PyDictKeysObject, dk_kind);
    absent("keysSize");
#else
    absent("keysLog2IndexBytes");
    absent("keysKind");
    OFFSET("keysSize", PyDictKeysObject, dk_size);
#endif
    OFFSET("keysEntries", PyDictKeysObject, dk_nentries);
    OFFSET("keysIndices", PyDictKeysObject, dk_indices);
    end_line(",");

#if PY_VERSION_HEX >= 0x030b0000
    OFFSET("valuesItems", PyDictValues, values);
#else
    value("valuesItems", 0);
#endif
#if PY_VERSION_HEX >= 0x030d0000
    OFFSET("valuesValid", PyDictValues, valid);
#else
    absent("valuesValid");
#endif
    end_line(")");
}
