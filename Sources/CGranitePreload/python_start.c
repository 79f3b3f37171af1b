// Has Python's hooks installed as soon as an interpreter is ready, whatever its flags are (-I, -S, -E): no file is
// added to sys.path and no variable to the environment. An audit hook (PEP 578) may be set before Py_Initialize and is
// told of the moment. A libpython that is loaded by dlopen(3) is found as it starts, if its symbols are made global
// (RTLD_GLOBAL) and it handles signals; else it has no hooks.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <granite_capture.h>
#include <granite_hooks.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "preload.h"

/// What is called of CPython, found where it runs. Objects are only handed on.
static struct {
    void *runtime;
    granite_add_hook_function add_audit_hook;
    int (*is_initialized)(void);
    const char *(*version)(void);
    void *(*interpreter)(void);
    int64_t (*interpreter_id)(void *);
    void *(*system_object)(const char *);  ///< borrowed
    void *(*module_dictionary)(void);      ///< borrowed
    void *(*dictionary_item)(void *, const char *);  ///< borrowed
    void *(*attribute)(void *, const char *);
    int (*is_true)(void *);
    void (*release)(void *);
    void (*fetch_error)(void **, void **, void **);
    void (*restore_error)(void *, void *, void *);
    void (*clear_error)(void);
} python;

static int64_t hooked_interpreter = -1;  ///< the last; with several that import in turns, installing again is cheap
static int attempts_left = 64;           ///< a version that the hooks do not know is not asked about for ever
static bool is_busy;  ///< installing imports modules, which is told to us as well. Interpreters may have a GIL each

/// With the GIL held.
static bool is_attribute_true(void *object, const char *name) {
    void *value = object ? python.attribute(object, name) : NULL;
    if (!value) return false;
    bool is_true = python.is_true(value) == 1;
    python.release(value);
    return is_true;
}

/// With the GIL held. Whether the interpreter has all it starts with. While `site` is being imported, or is still to
/// come, it has not.
static bool is_ready(void) {
    if (!python.is_initialized() || !python.system_object("unraisablehook")) return false;
    void *modules = python.module_dictionary();
    void *site = modules ? python.dictionary_item(modules, "site") : NULL;
    if (!site) return is_attribute_true(python.system_object("flags"), "no_site");
    void *specification = python.attribute(site, "__spec__");
    bool ready = !is_attribute_true(specification, "_initializing");
    if (specification) python.release(specification);
    return ready;
}

/// PY_VERSION_HEX of "3.11.7 (main, …"; 0 if it does not look like one.
static uint32_t version_of(const char *text) {
    uint32_t hex = 0;
    for (int part = 0; part < 3; part++) {
        char *end;
        unsigned long number = strtoul(text, &end, 10);
        if (end == text || number > 255) return 0;
        hex = hex << 8 | (uint32_t)number;
        text = end;
        if (part < 2 && *text++ != '.') return 0;
    }
    uint32_t stage = 0xf;
    if (*text == 'a' || *text == 'b') stage = *text == 'a' ? 0xa : 0xb;
    if (text[0] == 'r' && text[1] == 'c') stage = 0xc;
    text += stage == 0xc ? 2 : 1;
    return hex << 8 | stage << 4 | (stage == 0xf ? 0 : (uint32_t)strtoul(text, NULL, 10) & 0xf);
}

/// With the GIL held. What the program was about to raise stays as it is.
static void install(bool known_to_be_ready) {
    if (__atomic_exchange_n(&is_busy, true, __ATOMIC_ACQUIRE)) return;
    void *type, *value, *trace;
    python.fetch_error(&type, &value, &trace);
    if (known_to_be_ready || is_ready()) {
        attempts_left--;
        if (granite_capture_page()->python_runtime == 0)
            granite_capture_set_python((uint64_t)(uintptr_t)python.runtime, version_of(python.version()));
        if (granite_hooks_install()) hooked_interpreter = python.interpreter_id(python.interpreter());
    }
    python.clear_error();
    python.restore_error(type, value, trace);
    __atomic_store_n(&is_busy, false, __ATOMIC_RELEASE);
}

/// With the GIL held.
static bool may_install(void) {
    return attempts_left > 0 && python.interpreter_id(python.interpreter()) != hooked_interpreter;
}

/// With the GIL held. The audit hook: called for all that CPython tells of, some thousand times while a large program
/// starts. Never objects.
static int be_told(const char *event, void *arguments, void *unused) {
    (void)arguments, (void)unused;
    if (event[0] == 'i' && strcmp(event, "import") == 0) {
        granite_capture_refresh_modules();  // an earlier import has loaded a library
        if (may_install()) install(false);
    } else if (event[0] == 'e' && strcmp(event, "exec") == 0) {
        if (may_install()) install(false);  // of a program that has an interpreter in it, and imports nothing
    } else if (event[0] == 'c' && strncmp(event, "cpython.run_", 12) == 0) {
        install(true);
    } else if (event[0] == 'c' && strcmp(event, "ctypes.dlsym") == 0) {
        granite_capture_refresh_modules();
    } else if (event[0] == 'c' && strcmp(event, "cpython._PySys_ClearAuditHooks") == 0) {
        granite_python_before_clear();
    }
    return 0;
}

/// Call before any crash: dlsym locks and may allocate. False if there is no CPython in this program, or it is too old.
static bool find_python(void) {
    const struct {
        void *function;
        const char *name;
    } wanted[] = {
        {&python.add_audit_hook, "PySys_AddAuditHook"},
        {&python.runtime, "_PyRuntime"},
        {&python.is_initialized, "Py_IsInitialized"},
        {&python.version, "Py_GetVersion"},
        {&python.interpreter, "PyInterpreterState_Get"},
        {&python.interpreter_id, "PyInterpreterState_GetID"},
        {&python.system_object, "PySys_GetObject"},
        {&python.module_dictionary, "PyImport_GetModuleDict"},
        {&python.dictionary_item, "PyDict_GetItemString"},
        {&python.attribute, "PyObject_GetAttrString"},
        {&python.is_true, "PyObject_IsTrue"},
        {&python.release, "Py_DecRef"},
        {&python.fetch_error, "PyErr_Fetch"},
        {&python.restore_error, "PyErr_Restore"},
        {&python.clear_error, "PyErr_Clear"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        void *address = dlsym(RTLD_DEFAULT, wanted[i].name);
        if (!address) return false;
        memcpy(wanted[i].function, &address, sizeof address);
    }
    return true;
}

static bool is_awaiting;

/// Call before any crash. Adds the hook if there is an interpreter to add it to.
static void await(void) {
    is_awaiting = find_python() && granite_python_add_hook(python.add_audit_hook, be_told);
}

/// With the GIL held, for it does nothing unless the caller is CPython.
static void look_again(const void *caller) {
    if (is_awaiting) return;
    int saved_errno = errno;
    void *function = dlsym(RTLD_DEFAULT, "PySys_AddAuditHook");
    if (function && granite_preload_base_of(function) == granite_preload_base_of(caller)) await();
    dlerror();  // that there was none is not the program's business
    errno = saved_errno;
}

/// Call before any crash.
void granite_python_await(void) {
    await();
    if (!is_awaiting) granite_capture_observe_pipe_signal(look_again);
}
