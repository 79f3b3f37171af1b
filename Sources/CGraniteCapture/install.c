// Prepares a worker for its crash: everything that may allocate, lock or fail happens here.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "actions.h"
#include "chain.h"
#include "core.h"
#include "frame_pointers.h"
#include "system.h"

extern void *__libc_stack_end;  // of ld.so: the first thread's stack as the kernel made it

/// Call before any crash. Whether the handler is that of the Swift runtime, which would start a backtracer of its own.
static bool is_swift_runtime(const struct sigaction *action) {
    Dl_info module;
    void *handler = action->sa_flags & SA_SIGINFO ? (void *)action->sa_sigaction : (void *)action->sa_handler;
    return handler != (void *)SIG_DFL && handler != (void *)SIG_IGN && dladdr(handler, &module) != 0 &&
           module.dli_fname && strstr(module.dli_fname, "libswift");
}

/// Call before any crash. What was there before us is the program's. In a child of fork(2) the Swift runtime's is gone
/// already, and dladdr, which locks, must not be asked.
static void keep_previous_action(int signal, bool in_child) {
    struct sigaction action;
    if (granite_action_change(signal, NULL, &action) != 0) return;
    if (!in_child && is_swift_runtime(&action)) memset(&action, 0, sizeof action);
    granite_action_remember(signal, &action);
}

/// Call before any crash. Returns 0 or an errno value.
static int install_handlers(bool in_child) {
    keep_previous_action(granite_core.park_signal, in_child);
    keep_previous_action(granite_core.dump_signal, in_child);
    struct sigaction park;
    memset(&park, 0, sizeof park);
    park.sa_sigaction = granite_handle_park;
    park.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    granite_fill_handler_mask(&park.sa_mask);
    if (granite_action_change(granite_core.park_signal, &park, NULL) != 0) return errno;
    struct sigaction dump = park;
    dump.sa_sigaction = granite_handle_dump;
    if (granite_action_change(granite_core.dump_signal, &dump, NULL) != 0) return errno;
    sigset_t open;
    sigemptyset(&open);
    sigaddset(&open, granite_core.park_signal);
    sigaddset(&open, granite_core.dump_signal);
    granite_change_mask(SIG_UNBLOCK, &open, NULL);

    struct sigaction fatal;
    memset(&fatal, 0, sizeof fatal);
    fatal.sa_sigaction = granite_handle_fatal;
    // SA_NODEFER: a fault inside the handler comes to the handler (stage Z), instead of killing with the wrong signal.
    fatal.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    granite_fill_handler_mask(&fatal.sa_mask);
    for (int i = 0; i < granite_fatal_signal_count; i++) {
        keep_previous_action(granite_fatal_signals[i], in_child);
        if (granite_action_change(granite_fatal_signals[i], &fatal, NULL) != 0) return errno;
    }
    return 0;
}

/// Call before any crash. A program that the worker starts must not hold page and socket open.
static void close_on_exec(int fd) {
    if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/// Call before any crash. The kernel maps nothing else within the limit of the first thread's stack (mmap_base).
static size_t first_stack_bytes(void) {
    enum { most = 1 << 30 };
    struct rlimit limit;
    return getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < most ? (size_t)limit.rlim_cur : most;
}

/// Call before any crash. Who reads a process id in the page may send the dump signal, whose default action kills.
static void announce(void) {
    __atomic_store_n(&granite_core.page->pid, (uint32_t)granite_core.pid, __ATOMIC_RELEASE);
}

/// Call before any crash. Lies beside the page: what a program expects to find free are low numbers.
static int open_spare(int page_fd) {
    int low = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int spare = low >= 0 && low < page_fd ? fcntl(low, F_DUPFD_CLOEXEC, page_fd) : -1;
    if (spare < 0) return low;
    close(low);
    return spare;
}

/// Call before any crash. Maps the page, at `place` if that is not NULL, and stores whose it is. Returns 0 or an errno
/// value.
static int begin(int page_fd, struct granite_crash_page *place, const struct granite_capture_options *options) {
    int error = granite_page_map(page_fd, place);
    if (error != 0) return error;
    granite_core.pid = getpid();
    granite_core.memory_socket = options->memory_socket;
    granite_core.socket_identity = granite_descriptor_identify(options->memory_socket);
    granite_core.level = options->level;
    granite_core.page->level = options->level;
    granite_core.page->started_ns = granite_clock_ns(CLOCK_REALTIME);
    return 0;
}

/// Async-signal-safe: a store. Whoever gave the page's descriptor closes it now. Returns the error.
static int give_up(int error) {
    granite_core.page_fd = -1;
    return error;
}

/// Async-signal-safe, as all in a child of a threaded process must be (fork(2)): sigaction, fstat, mmap.
int granite_capture_install_in_child(const struct granite_capture_options *options) {
    struct granite_crash_page *place = granite_core.page;
    if (!place || granite_core.page_fd >= 0 || options->page_fd < 0) return EINVAL;
    uint64_t python_runtime = place->python_runtime;
    uint32_t python_version = place->python_version;
    int error = begin(options->page_fd, place, options);
    if (error != 0) return error;
    granite_core.tokens_updated_ns = 0;
    granite_core.dump_ticket = 0;
    memset(granite_core.occasions, 0, sizeof granite_core.occasions);
    granite_capture_set_python(python_runtime, python_version);
    // Without park_signal there was no capture in the parent either: its level was off.
    if (options->level == GRANITE_LEVEL_OFF || granite_core.park_signal == 0) {
        announce();
        return 0;
    }
    granite_core.installed = true;
    error = install_handlers(true);
    if (error != 0) {
        granite_core.installed = false;
        return give_up(error);
    }
    announce();
    return 0;
}

/// Call before any crash.
int granite_capture_install(const struct granite_capture_options *options) {
    if (granite_core.page) return EALREADY;
    int page_fd = options->page_fd >= 0 ? options->page_fd : granite_capture_make_page(options->level);
    if (page_fd < 0) return errno;
    int error = begin(page_fd, NULL, options);
    if (error != 0) return error;
    close_on_exec(page_fd);
    close_on_exec(options->memory_socket);

    granite_core.park_deadline_ns = (uint64_t)(options->park_deadline_ms ? options->park_deadline_ms : 50) * 1000000;
    granite_core.serve_deadline_ns =
        (uint64_t)(options->serve_deadline_ms ? options->serve_deadline_ms : 1000) * 1000000;
    granite_core.stack_bytes = options->stack_bytes ? options->stack_bytes : 64 << 10;
    granite_core.crashed_stack_bytes =
        options->crashed_stack_bytes ? options->crashed_stack_bytes : (8 << 20) + (256 << 10);
    error = granite_fork_watch();  // the page is written at every level
    if (error != 0) return give_up(error);
    if (options->level == GRANITE_LEVEL_OFF) {
        announce();
        return 0;
    }

    if (!granite_actions_load()) return give_up(ENOSYS);
    granite_core.park_signal = SIGRTMAX - 3;
    granite_core.dump_signal = SIGRTMAX - GRANITE_DUMP_SIGNAL_BELOW_MAX;
    granite_chain_load();
    granite_core.spare_fd = open_spare(page_fd);
    granite_frame_pointers_begin(__libc_stack_end, first_stack_bytes());
    granite_walk_load();
    granite_capture_refresh_modules();
    error = granite_alternate_stack_install();
    if (error != 0) return give_up(error);
    granite_core.installed = true;
    error = install_handlers(false);
    if (error != 0) return give_up(error);
    announce();
    return 0;
}

/// Async-signal-safe: stores. Any thread, when the interpreter is initialized.
void granite_capture_set_python(uint64_t runtime_address, uint32_t version_hex) {
    if (!granite_core.page) return;
    granite_core.page->python_version = version_hex;
    __atomic_store_n(&granite_core.page->python_runtime, runtime_address, __ATOMIC_RELEASE);
}
