// What a worker calls of the capture core. The core itself is C because it runs in a signal handler, where nothing may
// allocate, lock or retain (signal-safety(7)).

#ifndef GRANITE_CAPTURE_H
#define GRANITE_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "granite_crash_page.h"

struct granite_capture_options {
    int page_fd;               ///< memfd of GRANITE_PAGE_FILE_SIZE bytes, or -1: the core makes one of its own
    int memory_socket;         ///< connected SOCK_SEQPACKET to the collector, or -1: stages A to D only
    uint32_t level;            ///< enum granite_level
    uint32_t park_deadline_ms; ///< 0 = 50
    uint32_t serve_deadline_ms;///< 0 = 1000
    size_t stack_bytes;        ///< copied of each other thread's stack; 0 = 64 KiB
    size_t crashed_stack_bytes;///< copied of the crashed thread's stack, innermost and outermost part; 0 = 8 MiB + 256 KiB
};

/// Maps the page, loads libunwind, warms it up, installs the handlers and gives the calling thread an alternate stack.
/// Call before any crash, once, first thing in main. Returns 0 or an errno value (EPROTO: page_fd is no page of this
/// version). A child of fork(2) that does not exec is not captured, unless it calls granite_capture_install_in_child: its
/// handlers are reset, its page becomes memory of its own, and granite_capture_now only counts there.
int granite_capture_install(const struct granite_capture_options *_Nonnull options);

/// A page for granite_capture_install whose maker wants to hand it to a reader: a sealed memfd. Returns its descriptor,
/// close-on-exec, or -1 and errno (EFBIG: RLIMIT_FSIZE). Async-signal-safe.
int granite_capture_make_page(uint32_t level);

/// Captures a child of fork(2) by a page of its own, which takes the place of the parent's: granite_capture_page stays
/// the same. From a handler of pthread_atfork(3) in the child that was registered after granite_capture_install.
/// `options` as there, with a page; the deadlines and sizes stay those of the parent. Returns 0 or an errno value.
/// Async-signal-safe.
int granite_capture_install_in_child(const struct granite_capture_options *_Nonnull options);

/// The mapped page, or NULL before installation. Writing to it is a plain store: no system call.
struct granite_crash_page *_Nullable granite_capture_page(void);

/// Takes a new snapshot of the loaded objects (dl_iterate_phdr) for the handler's walk. Call before any crash, after
/// dlopen.
void granite_capture_refresh_modules(void);

/// Has `observer` called each time this process, from now on, ignores SIGPIPE by sigaction(2), with an address in the code
/// that does so: CPython does while it starts, with its lock held. Call before any crash, once.
void granite_capture_observe_pipe_signal(void (*_Nonnull observer)(const void *_Nonnull caller));

/// Takes the number of the next breadcrumb, from 0. An atomic add. Async-signal-safe. Call after installation.
uint32_t granite_capture_next_breadcrumb(void);

/// Takes the number of the next answered request, from 0. An atomic add. Async-signal-safe. Call after installation.
uint32_t granite_capture_next_ended_request(void);

/// Where CPython keeps its state; lets the collector read Python frames. Call when the interpreter is initialized.
void granite_capture_set_python(uint64_t runtime_address, uint32_t version_hex);

/// Captures all threads now and goes on: the drop-site road. May be called from any thread, not from a signal handler.
/// Blocks for some milliseconds; other threads are parked meanwhile, and their nanosleep, poll or epoll_wait may end
/// early with EINTR. Strings are truncated to the page's fields; NULL is the empty string. Returns false if it was only
/// counted (level off, a capture is running, or the rate limit).
bool granite_capture_now(uint32_t kind, const char *_Nullable subject, const char *_Nullable message, uint32_t owner_tid,
                         const char *_Nullable owner_name, uint64_t created_ns, const uint64_t *_Nullable creation_frames,
                         uint32_t creation_frame_count);

/// What is captured once and then counted: a drop site, an unraisable exception, a panic.
struct granite_occasion_report {
    uint32_t kind;         ///< enum granite_capture_kind
    uint32_t owner_tid;    ///< 0 = not known
    uint64_t fingerprint;  ///< equal for the same mistake; not 0
    const char *_Nullable subject;     ///< each text: NULL is the empty string; truncated to the page's field
    const char *_Nullable message;
    const char *_Nullable owner_name;
    uint64_t created_ns;   ///< CLOCK_REALTIME, 0 = not known
    const uint64_t *_Nullable creation_frames;
    uint32_t creation_frame_count;
    const char *_Nullable details;     ///< lines as granite_capture.details has them
};

/// What a fingerprint begins with.
#define GRANITE_FINGERPRINT_BASIS 0xcbf29ce484222325ull

/// Adds what tells one mistake from another to a fingerprint: FNV-1a, 64 bits, for a table of GRANITE_MAX_OCCASIONS.
/// Async-signal-safe.
static inline uint64_t granite_fingerprint_add(uint64_t fingerprint, const void *_Nonnull bytes, size_t length) {
    const unsigned char *byte = (const unsigned char *)bytes;
    for (size_t i = 0; i < length; i++) fingerprint = (fingerprint ^ byte[i]) * 0x100000001b3ull;
    return fingerprint;
}

/// Whether nothing was counted of `fingerprint` yet and there is room for it: then its texts are worth making. Some
/// nanoseconds. Any thread; async-signal-safe.
bool granite_occasion_is_new(uint64_t fingerprint);

/// Counts one more of `fingerprint` and tells whether it wants a report: the first, and one again ten minutes after the
/// last report; not within a second of an attempt that failed (another capture was running, the rate limit). Call first,
/// and gather the expensive parts only if it says yes. Some nanoseconds, no system call. Any thread; async-signal-safe.
/// More kinds than GRANITE_MAX_OCCASIONS are counted in suppressed_captures only.
bool granite_occasion_count(uint32_t kind, uint64_t fingerprint, const char *_Nullable subject,
                            const char *_Nullable message);

/// Captures all threads now, as granite_capture_now, and notes in the occasion's entry that it has its report. Does not count: call
/// granite_occasion_count before. Returns false if nothing was captured (level off, a capture is running, the rate limit).
bool granite_capture_occasion(const struct granite_occasion_report *_Nonnull report);

/// Stage C alone, for tests: walks `context` (a ucontext_t) as the handler would and returns how many frames it found.
/// `faulted`, if given, tells whether the walk was cut short. Takes the gate; nothing else of a capture runs. Call after
/// installation, on any thread.
uint32_t granite_capture_test_walk(const void *_Nonnull context, bool *_Nullable faulted);

/// gettid(2) of the calling thread, asked for once per thread: nanoseconds afterwards. Async-signal-safe.
uint32_t granite_capture_thread_id(void);

/// Return addresses of the calling thread by frame pointers, innermost (the caller) first. Stops at the first frame
/// that does not look like one. Costs nanoseconds; for creation stacks. Async-signal-safe.
uint32_t granite_capture_frame_pointers(uint64_t *_Nonnull frames, uint32_t capacity);

/// Whether the address lies in the calling thread's own stack, as far as that is known: no coroutine's, and no stack of a thread
/// that began before the installation. Async-signal-safe.
__attribute__((visibility("hidden"))) bool granite_stack_is_own(uint64_t address);

/// Leaves a breadcrumb: a word, and what the program is about. Truncated to the page's fields. No system call but the thread's first.
/// Async-signal-safe. Two threads that lap the ring at once may garble one entry, never more.
void granite_breadcrumb_note(const char *_Nonnull category, const char *_Nonnull message);

/// What a thread is known by while it lives.
struct granite_thread_home {
    uint64_t id;       ///< of this thread alone: never 0, never given to another one, unlike pthread_self() and gettid()
    uint32_t tid;
    uint32_t waiting;  ///< 1 while values wait for this thread to release them; set by others, atomically
    uint32_t is_known; ///< 1 once values can be handed to this thread; its own to set
    char name[16];     ///< as it was when this was first asked for
};

/// The calling thread's. Two system calls in the thread's first call, some nanoseconds afterwards. Valid until the thread ends.
/// Async-signal-safe.
struct granite_thread_home *_Nonnull granite_capture_thread_home(void);

/// Whether values wait for the thread. Async-signal-safe.
bool granite_thread_home_is_waited_for(const struct granite_thread_home *_Nonnull home);

/// Notes whether values wait for the thread. Any thread, while that one lives. Async-signal-safe.
void granite_thread_home_set_waited_for(struct granite_thread_home *_Nonnull home, bool waiting);

/// Where a value was made.
struct granite_origin {
    uint32_t tid;
    uint32_t frame_count;
    uint64_t created_ns;  ///< CLOCK_REALTIME_COARSE: to some milliseconds
    uint64_t thread;      ///< granite_thread_home.id
    char thread_name[16];
    uint64_t frames[GRANITE_MAX_CREATION_FRAMES];  ///< return addresses by frame pointers, innermost (the caller) first
};

/// Here and now. No system call but the thread's first two. Async-signal-safe.
void granite_capture_origin(struct granite_origin *_Nonnull origin);

/// What is wrong with a value that belongs to another thread.
enum granite_thread_mistake {
    GRANITE_USED_ELSEWHERE = 1,
    GRANITE_RELEASED_ELSEWHERE = 2,  ///< and nobody else can do it
    GRANITE_HANDED_HOME = 3,         ///< released elsewhere; the owner will release it
    GRANITE_RELEASED_LATE = 4,       ///< released elsewhere, after the owner ended
};

/// A mistake, told in two steps, because most of them are only counted.
struct granite_wrong_thread {
    const struct granite_origin *_Nullable origin;  ///< this and the next two: must be set
    const char *_Nullable label;
    const char *_Nullable hook;         ///< as in granite_capture.details
    const char *_Nullable type;         ///< only for the second step; NULL = not known
    enum granite_thread_mistake mistake;
    uint64_t fingerprint;               ///< made by the first step
    char message[256];                  ///< made by the first step
};

/// Counts the mistake, of which label, creation and the place where this is called from make a kind of its own. True: a report is
/// wanted, granite_wrong_thread_report makes it. Any thread, not a signal handler.
bool granite_wrong_thread_count(struct granite_wrong_thread *_Nonnull mistake);

/// Captures all threads now. As granite_capture_now; returns as it does.
bool granite_wrong_thread_report(const struct granite_wrong_thread *_Nonnull mistake);

/// What follows on a mistake. GRANITE_THREAD_BOUND says so by these names; the default is `report`.
enum granite_thread_policy { GRANITE_POLICY_REPORT = 0, GRANITE_POLICY_ABORT = 1, GRANITE_POLICY_OFF = 2 };

/// The process's policy, read from the environment at the first call. Any thread, not a signal handler.
enum granite_thread_policy granite_thread_policy(void);

/// Sets the process's policy. Any thread.
void granite_thread_policy_set(enum granite_thread_policy policy);

#endif
