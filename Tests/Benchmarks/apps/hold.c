// Preloaded into a crashing program: holds it at the fault, on an alternate stack, until somebody ends it. So a debugger that cannot
// catch the fault itself finds the process as it was, without the cost of a core file.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { stack_bytes = 256 << 10 };

static void hold(int number, siginfo_t *information, void *context) {
    (void)number;
    (void)information;
    (void)context;
    static const char line[] = "held\n";
    if (write(STDERR_FILENO, line, sizeof line - 1) < 0) _exit(70);
    for (;;) pause();
}

static void take_stack(void) {
    void *memory = mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = memory, .ss_size = stack_bytes};
    if (memory != MAP_FAILED) sigaltstack(&stack, NULL);
}

struct start {
    void *(*body)(void *);
    void *argument;
};

static void *begin(void *value) {
    struct start start = *(struct start *)value;
    free(value);
    take_stack();
    return start.body(start.argument);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument) {
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
    struct start *start = malloc(sizeof *start);
    *start = (struct start){body, argument};
    return real(thread, attributes, begin, start);
}

__attribute__((constructor)) static void install(void) {
    take_stack();
    struct sigaction action = {.sa_sigaction = hold, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
    for (unsigned index = 0; index < sizeof numbers / sizeof *numbers; index++) sigaction(numbers[index], &action, NULL);
}
