// The crash page: one sealed memfd per worker that the supervisor makes, the worker fills and the collector reads.
// It outlives the worker, so even SIGKILL leaves evidence. This header is the contract between the three: fixed-width
// integers, a version, asserted offsets. Native byte order; it never leaves the machine.

#ifndef GRANITE_CRASH_PAGE_H
#define GRANITE_CRASH_PAGE_H

#include <stddef.h>
#include <stdint.h>

/// "GRANITE1" in memory order on a little-endian machine.
#define GRANITE_PAGE_MAGIC 0x314554494e415247ull
/// Raised whenever a field moves. Readers refuse any other.
#define GRANITE_PAGE_VERSION 3

#define GRANITE_MAX_THREADS 1024
#define GRANITE_MAX_REQUESTS 128
#define GRANITE_MAX_BREADCRUMBS 64
#define GRANITE_MAX_HANDLER_FRAMES 256
#define GRANITE_MAX_CREATION_FRAMES 16
#define GRANITE_MAX_SEGMENTS 2048
/// Samples of the worker's memory that the page keeps.
#define GRANITE_MAX_TREND 64
/// Requests that were answered last.
#define GRANITE_MAX_ENDED 32
/// Kinds of drop sites and unraisable exceptions that are told apart.
#define GRANITE_MAX_OCCASIONS 64
/// Exceptions and panics that were thrown last.
#define GRANITE_MAX_THROWS 32
#define GRANITE_MAX_THROW_FRAMES 32
/// Bytes of text in granite_capture.details, the NUL included.
#define GRANITE_DETAILS_CAPACITY 4096
/// Room for the registers of one thread in DWARF order: 17 on x86_64, 33 on aarch64.
#define GRANITE_MAX_REGISTERS 34

/// Where the snapshot area begins in the memfd, and how far it may grow. The file is sparse: only what is written costs.
#define GRANITE_SNAPSHOT_OFFSET (1u << 20)
#define GRANITE_SNAPSHOT_CAPACITY (32u << 20)
#define GRANITE_PAGE_FILE_SIZE ((uint64_t)GRANITE_SNAPSHOT_OFFSET + GRANITE_SNAPSHOT_CAPACITY)
/// At most this much of /proc/self/maps is kept.
#define GRANITE_MAPS_CAPACITY (4u << 20)

/// How much the operator wants to know (GRANITE_BACKTRACE).
enum granite_level { GRANITE_LEVEL_OFF = 0, GRANITE_LEVEL_SHORT = 1, GRANITE_LEVEL_FULL = 2 };

/// What made the capture begin.
enum granite_capture_kind {
    GRANITE_KIND_NONE = 0,
    GRANITE_KIND_SIGNAL = 1,            ///< a fatal signal; the process dies afterwards
    GRANITE_KIND_DROP_SITE = 2,         ///< a ThreadBound value was released on another thread; the thread goes on
    GRANITE_KIND_UNRAISABLE = 3,        ///< sys.unraisablehook
    GRANITE_KIND_THREAD_EXCEPTION = 4,  ///< threading.excepthook
    GRANITE_KIND_DUMP = 5,              ///< asked for by a person; the process goes on
    GRANITE_KIND_HANG = 6,              ///< asked for by the supervisor, because something takes too long; the process goes on
    GRANITE_KIND_PANIC = 7,             ///< a Rust panic, at the place of the panic; the process may go on
    GRANITE_KIND_GROWTH = 8,            ///< memory grows; the process goes on
    GRANITE_KIND_UNCAUGHT = 9,          ///< sys.excepthook: a Python exception is about to end the process
};

/// A live worker is asked for a capture by the real-time signal SIGRTMAX - GRANITE_DUMP_SIGNAL_BELOW_MAX, queued to the
/// thread of interest with a word as its value (rt_tgsigqueueinfo(2)): 16 bits magic, 16 bits ticket, 32 bits
/// enum granite_cause. A ticket is answered once, however many threads it is sent to.
#define GRANITE_DUMP_SIGNAL_BELOW_MAX 4
#define GRANITE_DUMP_MAGIC 0x4744u
/// Why a DUMP or a HANG was asked for.
enum granite_cause {
    GRANITE_CAUSE_NONE = 0,
    GRANITE_CAUSE_ASKED = 1,                 ///< a person; kind DUMP, as all others are HANG
    GRANITE_CAUSE_REQUEST_TIMEOUT = 2,       ///< a request runs longer than --request-timeout
    GRANITE_CAUSE_REQUEST_KILL_TIMEOUT = 3,  ///< longer than --request-kill-timeout: the worker then kills itself
    GRANITE_CAUSE_STALL_TIMEOUT = 4,         ///< the event loop has not turned for --stall-timeout
};

/// How far a capture came. Stored after the stage ended, with release order: a reader that sees N may read all of N.
enum granite_stage {
    GRANITE_STAGE_IDLE = 0,
    GRANITE_STAGE_CLAIMED = 1,   ///< A: the gate is held, siginfo and registers of the crashed thread are stored
    GRANITE_STAGE_PARKED = 2,    ///< B: every thread that could be parked is parked
    GRANITE_STAGE_WALKED = 3,    ///< C: the handler's own walk of the crashed thread is stored
    GRANITE_STAGE_COPIED = 4,    ///< D: maps, vdso and stacks are in the snapshot area
    GRANITE_STAGE_SERVED = 5,    ///< E: the collector said that it has all it wants, or the deadline passed
    GRANITE_STAGE_FINISHED = 6,  ///< F: about to die of the true signal, or to go on
};

/// capture.flags
enum granite_capture_flag {
    GRANITE_CAPTURE_SECOND_FAULT = 1u << 0,        ///< Z: a second fault ended the capture early
    GRANITE_CAPTURE_PARK_TIMED_OUT = 1u << 1,      ///< some threads did not park in time
    GRANITE_CAPTURE_THREADS_TRUNCATED = 1u << 2,   ///< more than GRANITE_MAX_THREADS threads
    GRANITE_CAPTURE_SNAPSHOT_FULL = 1u << 3,       ///< stacks were left out, the snapshot area is full
    GRANITE_CAPTURE_COLLECTOR_ABSENT = 1u << 4,    ///< nobody answered on the memory socket
    GRANITE_CAPTURE_COLLECTOR_TIMEOUT = 1u << 5,   ///< the collector did not say "got it" before the deadline
    GRANITE_CAPTURE_WALK_FAULTED = 1u << 6,        ///< the handler's walk met a fault and was cut short
    GRANITE_CAPTURE_NO_UNWINDER = 1u << 7,         ///< libunwind could not be loaded; stage C is empty
};

/// thread.state
enum granite_thread_state {
    GRANITE_THREAD_UNUSED = 0,
    GRANITE_THREAD_SIGNALLED = 1,  ///< was asked to park and did not answer in time: no registers
    GRANITE_THREAD_PARKED = 2,     ///< registers and fs_base are valid
    GRANITE_THREAD_CRASHED = 3,    ///< the thread whose handler runs; registers and fs_base are valid
    GRANITE_THREAD_REFUSED = 4,    ///< no signal could be sent to it
    GRANITE_THREAD_STORING = 5,    ///< is storing its registers: none are valid yet
};

/// One thread at the moment of capture.
struct granite_thread {
    uint32_t tid;
    uint32_t state;                             ///< enum granite_thread_state
    uint64_t time_ns;                           ///< CLOCK_MONOTONIC when it parked
    uint64_t fs_base;                           ///< thread pointer = pthread_self() = Python's thread_id
    uint64_t registers[GRANITE_MAX_REGISTERS];  ///< DWARF order (System V psABI); x86_64: rax rdx rcx rbx rsi rdi rbp rsp r8..r15 rip
    char name[16];                              ///< /proc/self/task/TID/comm, NUL-terminated; filled for all threads
};

/// A range of the worker's memory that was copied into the snapshot area.
struct granite_segment {
    uint64_t address;
    uint64_t offset;  ///< in the memfd
    uint32_t length;
    uint32_t kind;    ///< enum granite_segment_kind
};

enum granite_segment_kind {
    GRANITE_SEGMENT_STACK = 1,
    GRANITE_SEGMENT_VDSO = 2,
    GRANITE_SEGMENT_NEAR_REGISTER = 3,
    GRANITE_SEGMENT_CODE = 4,  ///< bytes at the faulting instruction
};

/// One request being served. A seqlock: `sequence` is odd while the owner writes. Written by its application thread alone.
struct granite_request {
    uint32_t sequence;
    uint32_t tid;         ///< 0 = slot is free
    uint64_t started_ns;  ///< CLOCK_MONOTONIC
    char id[40];
    char method[24];
    char target[432];     ///< truncated, NUL-terminated
};

struct granite_breadcrumb {
    uint32_t sequence;
    uint32_t tid;
    uint64_t time_ns;  ///< CLOCK_REALTIME
    char category[24];
    char message[216];
};

/// A request that was answered. `sequence` is odd while it is written. Written by whichever application thread answered it.
struct granite_ended_request {
    uint32_t sequence;
    uint32_t status;  ///< of the response, 0 = it was cut before it had one
    uint64_t started_ns;  ///< CLOCK_MONOTONIC
    uint64_t duration_ns;
    char id[16];      ///< all three: truncated, NUL-terminated unless full
    char method[8];
    char target[80];
};

/// How the worker used memory at one moment. Written by the event loop alone.
struct granite_trend_sample {
    uint64_t time_ns;  ///< CLOCK_MONOTONIC; stored last, with release order; 0 = being written
    uint64_t rss_bytes;
    uint64_t requests_served;
    uint64_t python_objects;  ///< tracked by the cyclic garbage collector, 0 = not known
};

/// What happened more than once: the first is captured, the others are only counted. `sequence` is odd while the texts are written;
/// the numbers are stored one by one, each whole. Written by any thread.
struct granite_occasion {
    uint64_t fingerprint;  ///< 0 = the entry is free
    uint32_t sequence;
    uint32_t kind;         ///< enum granite_capture_kind
    uint32_t count;        ///< how often, the captured ones included; stops at UINT32_MAX
    uint32_t captured;     ///< how many of them have a report
    uint64_t first_ns;     ///< CLOCK_MONOTONIC
    uint64_t last_ns;      ///< CLOCK_MONOTONIC of the last one, to about a second
    char subject[96];      ///< both as in granite_capture, of the first
    char message[152];
};

/// enum of granite_throw.language
enum granite_throw_language { GRANITE_THROW_OTHER = 0, GRANITE_THROW_CPLUSPLUS = 1, GRANITE_THROW_RUST = 2 };
/// A bit of granite_throw.language: it was thrown before, perhaps by another thread, and the frames are those of that throw.
#define GRANITE_THROW_AGAIN 0x100u

/// An exception of C++ or a panic of Rust, as it was thrown. `sequence` is odd while it is written. Written by the thread that throws.
struct granite_throw {
    uint32_t sequence;
    uint32_t tid;
    uint64_t time_ns;      ///< CLOCK_MONOTONIC
    uint32_t language;     ///< enum granite_throw_language, and GRANITE_THROW_AGAIN
    uint32_t frame_count;
    char type[160];        ///< mangled name of the type, "" if it is not known
    char message[256];     ///< what() or the panic's text, "" if it is not known
    uint64_t frames[GRANITE_MAX_THROW_FRAMES];  ///< return addresses, innermost first
};

/// A capture in progress or ended. Everything here is written by the capturing thread.
struct granite_capture {
    uint32_t stage;     ///< enum granite_stage
    uint32_t kind;      ///< enum granite_capture_kind
    uint32_t sequence;  ///< counts captures of this worker from 1; a drop site and a later crash differ in it
    uint32_t flags;     ///< enum granite_capture_flag
    uint32_t crashed_tid;
    int32_t signal_number;
    int32_t signal_code;   ///< si_code
    int32_t signal_errno;  ///< si_errno
    uint64_t signal_address;
    int32_t sender_pid;    ///< si_pid where si_code says that a process sent it, else 0
    uint32_t sender_uid;
    uint64_t time_ns;           ///< CLOCK_REALTIME at entry
    uint64_t entered_ns;        ///< CLOCK_MONOTONIC
    uint64_t claimed_ns;        ///< each: CLOCK_MONOTONIC at the end of the stage, 0 if it was not reached
    uint64_t parked_ns;
    uint64_t walked_ns;
    uint64_t copied_ns;
    uint64_t served_ns;
    uint32_t thread_count;  ///< used entries of page.threads; entry 0 is the crashed thread
    uint32_t parked_count;  ///< threads in state PARKED when stage B ended; the crashed thread is not among them
    uint32_t handler_frame_count;
    uint32_t segment_count;
    uint64_t maps_offset;  ///< in the memfd; text of /proc/self/maps
    uint64_t maps_length;
    uint64_t second_fault_address;  ///< with GRANITE_CAPTURE_SECOND_FAULT
    int32_t second_fault_signal;
    uint32_t trap_number;  ///< x86_64: REG_TRAPNO
    uint64_t error_code;   ///< x86_64: REG_ERR; bit 1 = write, bit 4 = instruction fetch
    /// Drop sites, unraisable exceptions, dumps. NUL-terminated UTF-8, truncated.
    char subject[256];   ///< the value's label or the object's repr
    char message[1024];  ///< what is wrong, in the words of whoever noticed
    uint32_t owner_tid;  ///< 0 = not known
    uint32_t creation_frame_count;
    char owner_name[16];
    uint64_t created_ns;  ///< CLOCK_REALTIME, 0 = not known
    uint64_t creation_frames[GRANITE_MAX_CREATION_FRAMES];  ///< return addresses, innermost first
    uint64_t handler_frames[GRANITE_MAX_HANDLER_FRAMES];    ///< C: instruction pointers, innermost first
    uint32_t cause;   ///< enum granite_cause; DUMP and HANG by signal only. sender_pid and sender_uid say who asked
    uint32_t ticket;  ///< of the signal
    /// More about a drop site, an unraisable exception or growth: lines of `key=value`, each ended by a newline; a value holds none.
    /// Readers skip keys that they do not know. A key may come more than once, most important first. Keys:
    /// `created_in` (`connect (app.py:9)`, the Python function that made the object);
    /// `type` of the object; `hook` that told (unraisable, threading, sys, rust, thread_bound, c); `collector` of cycles (running, or
    /// running_elsewhere); `generation` that it collects; `referrer` (`COUNT TYPE`: what refers to the object, or, where
    /// `referrers_of=another`, to another living one of its type); `held_by` (one step of the cycle that holds it: `frame lookup
    /// (app.py:11), local err`); `allocated` (`FILE:LINE`, tracemalloc's, innermost first); `living` objects of the type;
    /// `owner_state` (alive, ended); `created_in` (`connect (app.py:9)`, the Python function that made it); `grown` (`BEFORE NOW TYPE`);
    /// `grown_over` seconds; `rss` (`BEFORE NOW` bytes); `cause` of growth (collector_behind, objects_kept, max_rss, asked).
    char details[GRANITE_DETAILS_CAPACITY];
};

/// The whole page. Fixed part at offset 0, snapshot area at GRANITE_SNAPSHOT_OFFSET.
struct granite_crash_page {
    uint64_t magic;
    uint32_t version;
    uint32_t header_size;  ///< sizeof(struct granite_crash_page)
    // Written by the supervisor before the worker starts.
    char crash_id[32];  ///< ULID, given out at spawn, so a respawn event can name it before the report exists
    uint32_t slot;
    uint32_t generation;
    uint32_t level;  ///< enum granite_level
    uint32_t reserved0;
    // Written by the worker.
    uint32_t pid;
    uint32_t ready;          ///< 1 once the app is imported and the worker accepts requests
    uint64_t started_ns;     ///< CLOCK_REALTIME
    uint64_t heartbeat_ns;   ///< CLOCK_MONOTONIC, the event loop's last turn
    uint64_t requests_served;
    uint64_t rss_bytes;      ///< sampled about once a second while serving
    uint64_t python_runtime; ///< address of _PyRuntime, 0 = no interpreter yet
    uint32_t python_version; ///< PY_VERSION_HEX
    uint32_t suppressed_captures;  ///< drop sites that were counted only, by the rate limit or because a capture was running
    uint32_t breadcrumb_count;     ///< ever written; the ring holds the last GRANITE_MAX_BREADCRUMBS
    uint32_t exit_note;            ///< GRANITE_EXIT_NOTED | code once exit(3) or _exit(2) was called, where that is watched; else 0
    struct granite_request requests[GRANITE_MAX_REQUESTS];
    struct granite_breadcrumb breadcrumbs[GRANITE_MAX_BREADCRUMBS];
    struct granite_capture capture;
    struct granite_thread threads[GRANITE_MAX_THREADS];
    struct granite_segment segments[GRANITE_MAX_SEGMENTS];
    // Written by the worker.
    uint32_t trend_count;  ///< samples ever written
    uint32_t ended_count;  ///< requests ever answered; the ring holds the last GRANITE_MAX_ENDED
    struct granite_trend_sample trend[GRANITE_MAX_TREND];  ///< in no order; the gaps between them grow with their age
    struct granite_ended_request ended[GRANITE_MAX_ENDED];
    struct granite_occasion occasions[GRANITE_MAX_OCCASIONS];
    struct granite_throw throws[GRANITE_MAX_THROWS];  ///< a ring: entry number modulo its length
    uint32_t throw_count;                             ///< ever thrown
    uint32_t reserved1;
};

/// page.exit_note: a code was noted; the low 8 bits are it.
#define GRANITE_EXIT_NOTED 0x100u

_Static_assert(sizeof(struct granite_thread) == 312, "thread layout");
_Static_assert(sizeof(struct granite_segment) == 24, "segment layout");
_Static_assert(sizeof(struct granite_request) == 512, "request layout");
_Static_assert(sizeof(struct granite_breadcrumb) == 256, "breadcrumb layout");
_Static_assert(sizeof(struct granite_trend_sample) == 32, "trend layout");
_Static_assert(sizeof(struct granite_ended_request) == 128, "ended request layout");
_Static_assert(sizeof(struct granite_occasion) == 288, "occasion layout");
_Static_assert(sizeof(struct granite_throw) == 696, "throw layout");
_Static_assert(offsetof(struct granite_crash_page, requests) == 128, "page layout");
_Static_assert(sizeof(struct granite_crash_page) <= GRANITE_SNAPSHOT_OFFSET, "the fixed part fits below the snapshot");

/// Where the parts of the page lie, for readers that take them one by one.
enum granite_page_offset {
    GRANITE_OFFSET_REQUESTS = offsetof(struct granite_crash_page, requests),
    GRANITE_OFFSET_BREADCRUMBS = offsetof(struct granite_crash_page, breadcrumbs),
    GRANITE_OFFSET_CAPTURE = offsetof(struct granite_crash_page, capture),
    GRANITE_OFFSET_THREADS = offsetof(struct granite_crash_page, threads),
    GRANITE_OFFSET_SEGMENTS = offsetof(struct granite_crash_page, segments),
    GRANITE_OFFSET_TREND = offsetof(struct granite_crash_page, trend),
    GRANITE_OFFSET_ENDED_COUNT = offsetof(struct granite_crash_page, ended_count),
    GRANITE_OFFSET_ENDED = offsetof(struct granite_crash_page, ended),
    GRANITE_OFFSET_OCCASIONS = offsetof(struct granite_crash_page, occasions),
    GRANITE_OFFSET_THROWS = offsetof(struct granite_crash_page, throws),
    GRANITE_OFFSET_THROW_COUNT = offsetof(struct granite_crash_page, throw_count),
    GRANITE_PAGE_HEADER_SIZE = sizeof(struct granite_crash_page),
};

/// The memory socket: SOCK_SEQPACKET, one message is one thing. The worker speaks first with a hello; the collector then
/// asks in batches (one message = an array of requests) and the worker answers each request with one message
/// (reply header, then `length` bytes). GRANITE_MEMORY_DONE ends the service and is not answered.
enum granite_memory_operation { GRANITE_MEMORY_READ = 1, GRANITE_MEMORY_DONE = 2 };
/// At most so many requests in one message, and so many bytes in one read.
#define GRANITE_MEMORY_BATCH 64
#define GRANITE_MEMORY_MAX_READ 65536u

struct granite_memory_hello {
    uint64_t magic;
    uint32_t pid;
    uint32_t capture_sequence;
};

struct granite_memory_request {
    uint32_t operation;  ///< enum granite_memory_operation
    uint32_t length;
    uint64_t address;
};

/// `result` is `length` on success; -EFAULT when nothing could be read (length 0); a short positive count when only a prefix
/// is mapped.
struct granite_memory_reply {
    int32_t result;
    uint32_t length;
    uint64_t address;
};

_Static_assert(sizeof(struct granite_memory_hello) == 16, "hello layout");
_Static_assert(sizeof(struct granite_memory_request) == 16, "request layout");
_Static_assert(sizeof(struct granite_memory_reply) == 16, "reply layout");

#endif
