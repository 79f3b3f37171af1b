// A Python interpreter in the process, whose second thread recurses through C until its stack ends.

#include <dlfcn.h>
#include <stddef.h>

static const char *const script =
    "import sys, threading\n"
    "sys.setrecursionlimit(10 ** 9)\n"
    "threading.stack_size(512 << 10)\n"
    "class Endless:\n"
    "    def __repr__(self):\n"
    "        return repr(self)\n"
    "thread = threading.Thread(target=repr, args=(Endless(),))\n"
    "thread.start()\n"
    "thread.join()\n";

__attribute__((noinline)) int granite_probe_library(void) {
    void *library = dlopen("libpython3.11.so.1.0", RTLD_NOW | RTLD_GLOBAL);
    if (library == NULL) return -1;
    void (*initialize)(int) = (void (*)(int))dlsym(library, "Py_InitializeEx");
    int (*run)(const char *) = (int (*)(const char *))dlsym(library, "PyRun_SimpleString");
    if (initialize == NULL || run == NULL) return -1;
    initialize(0);
    int value = run(script);
    __asm__ volatile("" ::: "memory");
    return value;
}
