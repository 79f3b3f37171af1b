// A worker in small: the capture core and a CPython that is opened at run time, as `granite worker` has it, without the server.
// python_worker LIBPYTHON SCRIPT, page at descriptor 10, memory socket at 11.

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

#include "granite_capture.h"

int main(int argc, char **argv) {
    if (argc != 3) return 64;
    struct granite_capture_options options = {
        .page_fd = 10, .memory_socket = 11, .level = GRANITE_LEVEL_FULL, .park_deadline_ms = 20000, .serve_deadline_ms = 20000};
    if (granite_capture_install(&options) != 0) return 70;
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    if (!library) return fprintf(stderr, "%s\n", dlerror()), 71;
    granite_capture_refresh_modules();
    // The functions are of the stable ABI; Py_Version is in 3.11 and later.
    void (*initialize)(int) = (void (*)(int))dlsym(library, "Py_InitializeEx");
    int (*run)(const char *) = (int (*)(const char *))dlsym(library, "PyRun_SimpleString");
    const unsigned long *version = dlsym(library, "Py_Version");
    if (!initialize || !run || !version) return 72;
    initialize(0);
    granite_capture_set_python((uint64_t)(uintptr_t)dlsym(library, "_PyRuntime"), (uint32_t)*version);
    char command[4096];
    snprintf(command, sizeof command, "exec(compile(open(%c%s%c).read(), %c%s%c, 'exec'))", 39, argv[2], 39, 39, argv[2], 39);
    return run(command) == 0 ? 0 : 1;
}
