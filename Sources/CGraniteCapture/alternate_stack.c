// Every thread gets an alternate signal stack, by interposing pthread_create: a stack overflow leaves no room for a
// handler on the overflowed stack, and the C library gives no thread another one. Nothing here runs after a crash.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "actions.h"
#include "arch.h"
#include "core.h"
#include "frame_pointers.h"
#include "sanitizer.h"
#include "system.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51  // <asm/auxvec.h>; the kernel's need for a signal frame, AVX-512 and AMX included
#endif

/// The upper end of the mapping, so that the stack grows down from it to the guard page.
struct alternate_stack {
    void *mapping;
    size_t mapping_size;
    size_t usable_size;  ///< without the guard page
    void *(*start)(void *);
    void *argument;
    size_t thread_stack_bytes;
    uint32_t destructor_rounds;
};

static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static bool key_made;

/// Of the calling thread.
static __thread struct alternate_stack *own __attribute__((tls_model("initial-exec")));

/// Async-signal-safe: sigaltstack(2), past the interposed one.
static int change_stack(const stack_t *new, stack_t *old) { return (int)syscall(SYS_sigaltstack, new, old); }

/// Call before any crash. Other destructors of the thread still run code that may overflow: leave in a late round of
/// the PTHREAD_DESTRUCTOR_ITERATIONS that POSIX grants (pthread_key_create(3)).
static void release(void *value) {
    struct alternate_stack *stack = value;
    if (++stack->destructor_rounds < 3 && pthread_setspecific(key, stack) == 0) return;
    stack_t off = {.ss_flags = SS_DISABLE};
    own = NULL;
    change_stack(&off, NULL);
    munmap(stack->mapping, stack->mapping_size);
}

/// Call before any crash.
static void make_key(void) { key_made = pthread_key_create(&key, release) == 0; }

/// Call before any crash. mmap and not malloc: the thread that ends may do so while the heap is broken.
static struct alternate_stack *make_stack(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = (65536 + getauxval(AT_MINSIGSTKSZ) + sizeof(struct alternate_stack) + page - 1) & ~(page - 1);
    char *mapping = mmap(NULL, page + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (mapping == MAP_FAILED) return NULL;
    mprotect(mapping, page, PROT_NONE);
    struct alternate_stack *stack = (void *)(mapping + page + size - sizeof(struct alternate_stack));
    stack->mapping = mapping;
    stack->mapping_size = page + size;
    stack->usable_size = size;
    return stack;
}

/// Async-signal-safe. What sigaltstack(2) is to be told.
static stack_t describe(const struct alternate_stack *stack) {
    char *bottom = (char *)stack->mapping + (stack->mapping_size - stack->usable_size);
    return (stack_t){.ss_sp = bottom, .ss_size = (size_t)((char *)stack - bottom) & ~(size_t)63};
}

/// Call before any crash. For the calling thread.
static int enter_stack(struct alternate_stack *stack) {
    sigset_t mask;
    sigemptyset(&mask);
    granite_change_mask(SIG_BLOCK, NULL, &mask);
    granite_action_open(&mask);
    granite_change_mask(SIG_SETMASK, &mask, NULL);
    stack_t description = describe(stack);
    if (change_stack(&description, NULL) != 0) return errno;
    own = stack;
    return 0;
}

/// Interposes sigaltstack(2). Async-signal-safe. A thread that gives its alternate stack back (faulthandler.disable(),
/// Rust's threads as they end) gets ours again: without one a stack overflow has no report.
__attribute__((visibility("default"))) int sigaltstack(const stack_t *new, stack_t *old) {
    if (!new || !(new->ss_flags & SS_DISABLE) || !own) return change_stack(new, old);
    stack_t ours = describe(own);
    return change_stack(&ours, old);
}

/// Call before any crash.
int granite_alternate_stack_install(void) {
    pthread_once(&key_once, make_key);
    struct alternate_stack *stack = make_stack();
    return stack ? enter_stack(stack) : ENOMEM;
}

/// Call before any crash. How many of the stack's bytes lie below `frame`, one of the calling thread's first. The thread
/// control block is in the last page of the stack that the C library made (glibc, nptl/allocatestack.c).
static size_t bytes_below(const void *frame, size_t stack_bytes) {
    uintptr_t end = ((uintptr_t)granite_arch_thread_pointer() + 4095) & ~(uintptr_t)4095;
    uintptr_t above = end - (uintptr_t)frame;
    return above < stack_bytes ? stack_bytes - above : 0;
}

/// The first function of every thread; it is in all their stacks. Call before any crash.
static void *granite_run_thread(void *value) {
    struct alternate_stack *stack = value;
    const void *frame = __builtin_frame_address(0);
    granite_frame_pointers_begin(frame, bytes_below(frame, stack->thread_stack_bytes));
    if (enter_stack(stack) == 0) pthread_setspecific(key, stack);
    return stack->start(stack->argument);
}

/// Call before any crash. The stack of a thread with these attributes, without its guard page (glibc adds that).
static size_t stack_bytes_of(const pthread_attr_t *attributes) {
    size_t size = 0;
    if (attributes) return pthread_attr_getstacksize(attributes, &size) == 0 ? size : 0;
    pthread_attr_t defaults;
    if (pthread_getattr_default_np(&defaults) != 0) return 0;
    pthread_attr_getstacksize(&defaults, &size);
    pthread_attr_destroy(&defaults);
    return size;
}

typedef int (*create_function)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/// Interposes pthread_create(3). Call before any crash: it maps memory.
__attribute__((visibility("default"))) int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                                                          void *(*start)(void *), void *argument) {
    static create_function next;
    create_function create = __atomic_load_n(&next, __ATOMIC_ACQUIRE);
    if (!create) {
        create = (create_function)dlsym(RTLD_NEXT, "pthread_create");
        if (!create) return EAGAIN;
        __atomic_store_n(&next, create, __ATOMIC_RELEASE);
    }
    if (!granite_core.installed || !key_made) return create(thread, attributes, start, argument);
    struct alternate_stack *stack = make_stack();
    if (!stack) return create(thread, attributes, start, argument);
    stack->start = start;
    stack->argument = argument;
    stack->thread_stack_bytes = stack_bytes_of(attributes);
    int error = create(thread, attributes, granite_run_thread, stack);
    if (error == 0) return 0;
    munmap(stack->mapping, stack->mapping_size);
    // RLIMIT_AS, RLIMIT_DATA: what the alternate stack took may be what the thread needs.
    return error == EAGAIN || error == ENOMEM ? create(thread, attributes, start, argument) : error;
}
