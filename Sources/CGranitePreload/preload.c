// Puts a program under capture when it starts, before its main: a page and a socket of its own, made known to the
// guardian of `granite-crash run`. Without a guardian the program is left alone.

#define _GNU_SOURCE
#include "preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <granite_capture.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/// Read by swift-autolink-extract, whose output stands before -lswiftCore on the linker's command line: the Swift
/// driver asks for its runtime even where no Swift is linked, and a foreign process must not get one.
__attribute__((used, section(".swift1_autolink_entries"))) static const char autolink[] = "-Wl,--as-needed";

/// What the driver's swiftrt.o calls of that runtime; with these it needs nothing of it, and there is no Swift metadata
/// to tell it of.
__attribute__((visibility("hidden"))) void swift_addNewDSOImage(const void *sections) { (void)sections; }
__attribute__((visibility("hidden"))) int _swift_backtrace_isThunkFunction(const char *name) {
    (void)name;
    return 0;
}

static uint32_t level;
static int seccomp_mode;  ///< prctl(2) PR_GET_SECCOMP when the program started

/// Async-signal-safe: getrlimit(2). The lowest number that our descriptors take: programs count on low ones, shells
/// move theirs to 10 and to 255, and daemons close all below some hundred.
static int lowest_descriptor(void) {
    enum { wanted = 512, room = 8 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted + room) return wanted;
    return limit.rlim_cur > 2 * room ? (int)limit.rlim_cur - room : room;
}

/// Async-signal-safe: fcntl(2), close(2).
int granite_preload_raise(int descriptor) {
    if (descriptor < 0) return -1;
    int raised = fcntl(descriptor, F_DUPFD_CLOEXEC, lowest_descriptor());
    close(descriptor);
    return raised;
}

/// What a process under capture is made of, until it is handed over.
struct parts {
    int page_fd;
    int memory_socket;
    int collector_end;  ///< of the memory socket; the guardian's
    int connection;
};

/// Async-signal-safe: close(2).
static void close_all(const int *descriptors, int count) {
    for (int i = 0; i < count; i++) {
        if (descriptors[i] >= 0) close(descriptors[i]);
    }
}

/// Async-signal-safe. The connection comes last: a guardian sees only those who can be captured. False if a part is
/// missing.
static bool make_parts(struct parts *parts) {
    parts->page_fd = granite_preload_raise(granite_capture_make_page(level));
    if (parts->page_fd < 0) return false;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return false;
    parts->collector_end = ends[1];
    parts->memory_socket = granite_preload_raise(ends[0]);
    if (parts->memory_socket < 0) return false;
    parts->connection = granite_hello_connect();
    return parts->connection >= 0;
}

/// Async-signal-safe but for granite_capture_install.
static bool install(const struct parts *parts, enum granite_run_origin origin) {
    struct granite_capture_options options = {
        .page_fd = parts->page_fd, .memory_socket = parts->memory_socket, .level = level};
    return (origin == GRANITE_RUN_FORK ? granite_capture_install_in_child(&options)
                                       : granite_capture_install(&options)) == 0;
}

/// Async-signal-safe but for granite_capture_install.
bool granite_preload_join(enum granite_run_origin origin) {
    struct parts parts = {-1, -1, -1, -1};
    bool joined = make_parts(&parts) && install(&parts, origin);
    if (joined) granite_hello_send(parts.connection, origin, parts.page_fd, parts.collector_end);
    const int ours[] = {parts.page_fd, parts.memory_socket};
    const int guardians[] = {parts.collector_end, parts.connection};
    if (!joined) close_all(ours, 2);
    close_all(guardians, 2);
    return joined;
}

/// Async-signal-safe: prctl(2). A sandbox that came after the start may kill for a system call that it does not expect.
bool granite_preload_is_sandboxed(void) { return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != seccomp_mode; }

/// Call before any crash: dladdr locks.
void *granite_preload_base_of(const void *address) {
    Dl_info module;
    return address && dladdr(address, &module) != 0 ? module.dli_fbase : NULL;
}

/// Call before any crash. A program that has the core in it is Granite's worker, or captures itself by the library for
/// Swift: its functions come before ours, and it needs no second capture. No other program defines these two.
static bool program_has_the_core(void) {
    const void *program = granite_preload_base_of((const void *)getauxval(AT_PHDR));
    return program && granite_preload_base_of(dlsym(RTLD_DEFAULT, "__sysv_signal")) == program &&
           granite_preload_base_of(dlsym(RTLD_DEFAULT, "dl_iterate_phdr")) == program;
}

/// Call before any crash. As Granite's other programs spell it; full unless somebody wants less.
static uint32_t level_of(const char *text) {
    if (!text) return GRANITE_LEVEL_FULL;
    if (strcasecmp(text, "off") == 0 || strcmp(text, "0") == 0) return GRANITE_LEVEL_OFF;
    if (strcasecmp(text, "short") == 0 || strcmp(text, "1") == 0) return GRANITE_LEVEL_SHORT;
    return GRANITE_LEVEL_FULL;
}

/// Call before any crash. Stops at the first module.
static int stop(struct dl_phdr_info *module, size_t size, void *unused) {
    (void)module, (void)size, (void)unused;
    return 1;
}

/// Call before any crash. The interposed functions look up the C library's at their first call, which may be in a
/// signal handler or in a child of fork(2), where dlsym must not be called: this is that call.
static void resolve_interposed(void) {
    struct sigaction action;
    sigset_t mask;
    sigaction(SIGCHLD, NULL, &action);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    dl_iterate_phdr(stop, NULL);
    granite_exit_notes_load();
}

/// Call before any crash: by the dynamic linker, before main.
__attribute__((constructor)) static void start(void) {
    int saved_errno = errno;
    resolve_interposed();
    const char *socket = getenv(GRANITE_RUN_SOCKET_VARIABLE);
    if (socket && !program_has_the_core() && granite_hello_address(socket)) {
        level = level_of(getenv("GRANITE_BACKTRACE"));
        seccomp_mode = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
        granite_unwinder_pipe_begin();
        bool joined = granite_preload_join(GRANITE_RUN_EXEC);
        granite_unwinder_pipe_end();
        if (joined) {
            granite_fork_follow();  // after the core's own handler, which leaves the parent's capture
            granite_exit_notes_begin();
            granite_python_await();
        }
    }
    dlerror();  // what was not found is not the program's business
    errno = saved_errno;
}
