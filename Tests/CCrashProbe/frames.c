// Stacks that are hard to walk: code without call frame information, signals, coroutines, damage.

#define _GNU_SOURCE
#include <alloca.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "crash_probe.h"

#define KEPT __attribute__((noinline))
/// After a call: keeps it from becoming a jump.
#define STAY __asm__ volatile("" ::: "memory")

KEPT int granite_probe_through(const char *library) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    int (*outer)(int (*)(void)) = handle ? (int (*)(int (*)(void)))dlsym(handle, "outer") : NULL;
    if (!outer) return -1;
    int value = outer(granite_probe_null_read);
    STAY;
    return value + 1;
}

KEPT int granite_probe_through_replaced(const char *library) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    int (*outer)(int (*)(void)) = handle ? (int (*)(int (*)(void)))dlsym(handle, "outer") : NULL;
    // A deployment: the new build takes the old one's name. It lies beside it, as `LIBRARY.new`.
    char replacement[4096];
    snprintf(replacement, sizeof replacement, "%s.new", library);
    if (!outer || rename(replacement, library) != 0) return -1;
    int value = outer(granite_probe_null_read);
    STAY;
    return value + 1;
}

KEPT int granite_probe_through_memfd(const char *library) {
    int source = open(library, O_RDONLY);
    int copy = memfd_create("plugin", 0);
    char buffer[65536];
    for (ssize_t count; (count = read(source, buffer, sizeof buffer)) > 0;) (void)!write(copy, buffer, (size_t)count);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", copy);
    int value = granite_probe_through(path);
    STAY;
    return value + 1;
}

KEPT int granite_probe_through_generated(void) {
#if defined(__x86_64__)
    // push %rbp; mov %rsp,%rbp; sub $32,%rsp; call *%rdi; leave; ret
    static const unsigned char framed[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x20, 0xff, 0xd7, 0xc9, 0xc3};
    // sub $40,%rsp; mov %rsi,%rdi; mov %rdx,%rsi; call *%rax; add $40,%rsp; ret: keeps the caller's frame pointer
    static const unsigned char frameless[] = {0x48, 0x83, 0xec, 0x28, 0x48, 0x8b, 0x07, 0x48, 0x8b, 0x7f, 0x08,
                                              0xff, 0xd0, 0x48, 0x83, 0xc4, 0x28, 0xc3};
    unsigned char *code = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) return -1;
    memcpy(code, framed, sizeof framed);
    memcpy(code + 4096, frameless, sizeof frameless);
    void *arguments[2] = {code, (void *)granite_probe_null_read};
    int value = ((int (*)(void **))(void *)(code + 4096))(arguments);
    STAY;
    return value + 1;
#else
    return -1;
#endif
}

static KEPT void handle_by_crashing(int number) {
    (void)number;
    granite_probe_null_read();
    STAY;
}

static KEPT int interrupted_loop(volatile int *word) {
    // Interrupted at any instruction of a function without a frame: only the exact address has the right row.
    while (*word == 0) {
    }
    return *word;
}

KEPT int granite_probe_in_handler(int on_alternate_stack) {
    struct sigaction action = {.sa_handler = handle_by_crashing, .sa_flags = on_alternate_stack ? SA_ONSTACK : 0};
    sigaction(SIGALRM, &action, NULL);
    // Whoever started this program may have blocked it.
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec soon = {.it_value = {.tv_nsec = 20000000}};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &soon, NULL) != 0) return -1;
    volatile int word = 0;
    int value = interrupted_loop(&word);
    STAY;
    return value + 1;
}

static KEPT int smashed_inner(void) {
#if defined(__x86_64__)
    void **frame = __builtin_frame_address(0);
    frame[1] = (void *)0x4141414141414141;
    int value = granite_probe_null_read();
    STAY;
    return value;
#else
    return granite_probe_null_read();
#endif
}

KEPT int granite_probe_smashed(void) {
    int value = smashed_inner();
    STAY;
    return value + 1;
}

static KEPT int return_wild_inner(void) {
    void *volatile *frame = __builtin_frame_address(0);
    frame[1] = (void *)0x4141414141;
    STAY;
    return 1;
}

KEPT int granite_probe_return_wild(void) {
    int value = return_wild_inner();
    STAY;
    return value + 1;
}

KEPT int granite_probe_call_wild(void) {
    int (*volatile function)(void) = (int (*)(void))0x1234567000;
    int value = function();
    STAY;
    return value + 1;
}

static ucontext_t main_context;
static ucontext_t coroutine_context;

static KEPT void coroutine_body(void) {
    granite_probe_null_read();
    STAY;
}

KEPT int granite_probe_in_coroutine(void) {
    enum { size = 256 << 10 };
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) return -1;
    getcontext(&coroutine_context);
    coroutine_context.uc_stack.ss_sp = stack;
    coroutine_context.uc_stack.ss_size = size;
    coroutine_context.uc_link = &main_context;
    makecontext(&coroutine_context, coroutine_body, 0);
    swapcontext(&main_context, &coroutine_context);
    STAY;
    return 0;
}

static KEPT int with_alloca(int size) {
    volatile char *room = alloca((size_t)size);
    room[0] = 1;
    int value = granite_probe_null_read();
    STAY;
    return value + room[0];
}

static KEPT int with_varargs(int count, ...) {
    va_list list;
    va_start(list, count);
    int size = va_arg(list, int);
    int value = with_alloca(size);
    va_end(list);
    STAY;
    return value + count;
}

static int compare(const void *left, const void *right) {
    int value = with_varargs(2, *(const int *)left * 1000, *(const int *)right);
    STAY;
    return value;
}

KEPT int granite_probe_odd_frames(void) {
    int numbers[4] = {4, 3, 2, 1};
    qsort(numbers, 4, sizeof numbers[0], compare);
    STAY;
    return numbers[0];
}
