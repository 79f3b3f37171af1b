// Stage B: every other thread stops inside a signal handler, after it stored its own registers.
// Only system calls and atomics: a parked thread may hold any lock of the process.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "actions.h"
#include "arch.h"
#include "core.h"
#include "system.h"

enum { no_slot = -1, max_passes = 16 };

/// getdents64(2) has no wrapper that works without malloc; this is its record.
struct directory_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

/// Async-signal-safe: atomics. The number of slots that have a thread id.
static uint32_t slot_count(void) { return __atomic_load_n(&granite_core.page->capture.thread_count, __ATOMIC_ACQUIRE); }

/// Async-signal-safe. The slot of a thread, or no_slot.
static int slot_of(uint32_t tid) {
    uint32_t count = slot_count();
    for (uint32_t i = 0; i < count && i < GRANITE_MAX_THREADS; i++) {
        if (granite_core.page->threads[i].tid == tid) return (int)i;
    }
    return no_slot;
}

/// Async-signal-safe. Counts one thread as answered; the capturing thread is woken by the last.
static void count_answer(void) {
    uint32_t parked = __atomic_add_fetch(&granite_core.parked, 1, __ATOMIC_ACQ_REL);
    if (parked >= __atomic_load_n(&granite_core.expected, __ATOMIC_ACQUIRE))
        granite_futex_rouse(&granite_core.parked, 1);
}

/// Async-signal-safe. One step of a thread's state, unless somebody else took it.
static bool step_state(struct granite_thread *thread, uint32_t from, uint32_t to) {
    return __atomic_compare_exchange_n(&thread->state, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/// Async-signal-safe. Whether the slot is still this thread's, in the capture that it answers. A signal may be
/// delivered so late that another capture has given the slot to another thread.
static bool is_still_asked(const struct granite_thread *thread, uint32_t tid, uint32_t sequence) {
    return __atomic_load_n(&granite_core.parking, __ATOMIC_ACQUIRE) == sequence && thread->tid == tid;
}

/// Async-signal-safe. Stores the registers of the calling thread in its slot, once.
static void answer(int slot, uint32_t tid, uint32_t sequence, const ucontext_t *context) {
    struct granite_thread *thread = &granite_core.page->threads[slot];
    if (!step_state(thread, GRANITE_THREAD_SIGNALLED, GRANITE_THREAD_STORING)) return;
    if (!is_still_asked(thread, tid, sequence)) {
        step_state(thread, GRANITE_THREAD_STORING, GRANITE_THREAD_SIGNALLED);
        return;
    }
    granite_arch_store_registers(context, thread->registers);
    thread->fs_base = granite_arch_thread_pointer();
    thread->time_ns = granite_clock_ns(CLOCK_MONOTONIC);
    if (is_still_asked(thread, tid, sequence) && step_state(thread, GRANITE_THREAD_STORING, GRANITE_THREAD_PARKED))
        count_answer();
}

/// Async-signal-safe: futex(2). Sleeps until the capture with this sequence lets its threads go.
static void stay_parked(uint32_t sequence) {
    while (__atomic_load_n(&granite_core.parking, __ATOMIC_ACQUIRE) == sequence) {
        granite_futex_sleep(&granite_core.parking, sequence, UINT64_MAX);
    }
}

/// Async-signal-safe. SIGPROF belongs to profilers, and the program may have found another use for the park and the
/// dump signal: what is not ours goes to them.
void granite_park_pass_on(int signal, siginfo_t *information, void *context) {
    struct sigaction kept;
    const struct sigaction *previous = &granite_core.previous_profile_action;
    if (signal != SIGPROF) previous = granite_action_recall(signal, &kept) ? &kept : NULL;
    if (!previous) return;
    if (previous->sa_flags & SA_SIGINFO) {
        if (previous->sa_sigaction) previous->sa_sigaction(signal, information, context);
    } else if (previous->sa_handler != SIG_DFL && previous->sa_handler != SIG_IGN) {
        previous->sa_handler(signal);
    }
}

/// Async-signal-safe. Whether the capture waits for this thread.
static bool is_awaited(uint32_t tid) {
    int slot = slot_of(tid);
    if (slot == no_slot) return false;
    return __atomic_load_n(&granite_core.page->threads[slot].state, __ATOMIC_ACQUIRE) == GRANITE_THREAD_SIGNALLED;
}

/// Async-signal-safe.
void granite_handle_park(int signal, siginfo_t *information, void *context) {
    int saved_errno = errno;
    uint32_t sequence = __atomic_load_n(&granite_core.parking, __ATOMIC_ACQUIRE);
    bool ours = information->si_code == SI_QUEUE && information->si_pid == granite_core.pid;
    // Without room in the queue the kernel delivers the signal, but not its siginfo: it then says user 0 and process 0.
    bool lost = information->si_code == SI_USER && information->si_pid == 0 && sequence != 0;
    uint32_t me = granite_thread_id();
    if (lost) ours = is_awaited(me);
    if (!ours) {
        granite_park_pass_on(signal, information, context);
    } else if (sequence == 0 || __atomic_load_n(&granite_core.gate, __ATOMIC_ACQUIRE) == me) {
        // Late for a capture that is over. The thread that captures may have one pending from a former capture, and
        // libunwind opens it by sigprocmask: it must not park itself.
    } else {
        // The slot saves the search; a late signal may carry an old one.
        int slot = lost ? no_slot : information->si_value.sival_int;
        if (slot < 0 || (uint32_t)slot >= slot_count() || granite_core.page->threads[slot].tid != me)
            slot = slot_of(me);
        if (slot != no_slot) answer(slot, me, sequence, context);
        stay_parked(sequence);
    }
    errno = saved_errno;
}

/// Async-signal-safe.
void granite_park_faulted(const ucontext_t *context) {
    enum { look_again_ns = 200000 };
    uint32_t me = granite_thread_id();
    while (__atomic_load_n(&granite_core.gate, __ATOMIC_ACQUIRE) != 0) {
        uint32_t sequence = __atomic_load_n(&granite_core.parking, __ATOMIC_ACQUIRE);
        int slot = sequence ? slot_of(me) : no_slot;
        if (slot != no_slot) {
            answer(slot, me, sequence, context);
            stay_parked(sequence);
        } else {
            // The park signal is blocked in the fatal handler: our slot appears when the capturing thread has
            // enumerated us.
            granite_futex_sleep(&granite_core.parking, sequence, look_again_ns);
        }
    }
}

/// Async-signal-safe.
static bool is_ours(const struct sigaction *action) {
    return action->sa_flags & SA_SIGINFO && action->sa_sigaction == granite_handle_park;
}

/// Async-signal-safe: sigaction. In each capture anew: the program may have set an action of its own since the last.
static void install_profile_handler(void) {
    struct sigaction current;
    if (granite_action_change(SIGPROF, NULL, &current) != 0 || is_ours(&current)) return;
    granite_core.previous_profile_action = current;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = granite_handle_park;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    granite_fill_handler_mask(&action.sa_mask);
    granite_action_change(SIGPROF, &action, NULL);
}

/// Async-signal-safe: sigaction.
void granite_park_return_profile_signal(bool in_child) {
    struct sigaction current;
    const struct sigaction *previous = &granite_core.previous_profile_action;
    if (granite_action_change(SIGPROF, NULL, &current) != 0 || !is_ours(&current)) return;
    // A thread may have our signal pending for long, and the default action of SIGPROF kills (signal(7)). A child of
    // fork(2) starts with none pending.
    bool kills = !(previous->sa_flags & SA_SIGINFO) && previous->sa_handler == SIG_DFL;
    if (!kills || in_child) granite_action_change(SIGPROF, previous, NULL);
}

/// Async-signal-safe: rt_tgsigqueueinfo(2). Returns 0 or an errno value.
static int ask_to_park(uint32_t tid, int slot, int signal) {
    siginfo_t information;
    memset(&information, 0, sizeof information);
    information.si_signo = signal;
    information.si_code = SI_QUEUE;
    information.si_pid = granite_core.pid;
    information.si_uid = getuid();
    information.si_value.sival_int = slot;
    return granite_queue_signal(granite_core.pid, tid, signal, &information) == 0 ? 0 : errno;
}

/// Async-signal-safe. The park signal; SIGPROF where the queue of real-time signals is full (EAGAIN,
/// RLIMIT_SIGPENDING): a signal below 32 is delivered all the same.
static int ask_by_any_signal(uint32_t tid, int slot) {
    int error = ask_to_park(tid, slot, granite_core.park_signal);
    if (error != EAGAIN) return error;
    install_profile_handler();
    return ask_to_park(tid, slot, SIGPROF);
}

/// Async-signal-safe. A thread that cannot be asked counts as answered: nobody waits for it.
static void refuse(uint32_t slot) {
    if (step_state(&granite_core.page->threads[slot], GRANITE_THREAD_SIGNALLED, GRANITE_THREAD_REFUSED))
        count_answer();
}

/// Async-signal-safe. Gives the thread a slot and asks it to park. `was_full`: the pass before found no slot for all,
/// and has asked those without one.
static void add_thread(uint32_t tid, bool was_full) {
    struct granite_capture *capture = &granite_core.page->capture;
    uint32_t slot = capture->thread_count;
    if (slot >= GRANITE_MAX_THREADS) {
        // It still must not run on: it parks without a slot and nobody waits for it.
        capture->flags |= GRANITE_CAPTURE_THREADS_TRUNCATED;
        if (!was_full) ask_by_any_signal(tid, no_slot);
        return;
    }
    struct granite_thread *thread = &granite_core.page->threads[slot];
    memset(thread, 0, sizeof *thread);
    thread->tid = tid;
    __atomic_store_n(&thread->state, GRANITE_THREAD_SIGNALLED, __ATOMIC_RELEASE);
    __atomic_add_fetch(&granite_core.expected, 1, __ATOMIC_ACQ_REL);
    __atomic_store_n(&capture->thread_count, slot + 1, __ATOMIC_RELEASE);
    if (ask_by_any_signal(tid, (int)slot) != 0) refuse(slot);
}

/// Async-signal-safe. The thread id that a name in /proc/self/task spells, or 0.
static uint32_t thread_id_of(const char *name) {
    uint32_t tid = 0;
    for (; *name >= '0' && *name <= '9'; name++) tid = tid * 10 + (uint32_t)(*name - '0');
    return *name == 0 ? tid : 0;
}

/// Async-signal-safe: getdents64(2); opendir allocates. One pass over the threads; returns how many were new.
static uint32_t ask_new_threads(int tasks) {
    static char entries[32768];
    uint32_t before = slot_count();
    bool was_full = granite_core.page->capture.flags & GRANITE_CAPTURE_THREADS_TRUNCATED;
    if (lseek(tasks, 0, SEEK_SET) < 0) return 0;
    long filled;
    while ((filled = syscall(SYS_getdents64, tasks, entries, sizeof entries)) > 0) {
        for (long position = 0; position < filled;) {
            const struct directory_entry *entry = (const void *)(entries + position);
            position += entry->length;
            uint32_t tid = thread_id_of(entry->name);
            if (tid != 0 && slot_of(tid) == no_slot) add_thread(tid, was_full);
        }
    }
    return slot_count() - before;
}

/// Async-signal-safe: futex(2). Whether all answered before `deadline_ns` (CLOCK_MONOTONIC).
static bool wait_for_answers(uint64_t deadline_ns) {
    for (;;) {
        uint32_t parked = __atomic_load_n(&granite_core.parked, __ATOMIC_ACQUIRE);
        if (parked >= __atomic_load_n(&granite_core.expected, __ATOMIC_ACQUIRE)) return true;
        uint64_t now = granite_clock_ns(CLOCK_MONOTONIC);
        if (now >= deadline_ns) return false;
        granite_futex_sleep(&granite_core.parked, parked, deadline_ns - now);
    }
}

/// Async-signal-safe. Threads that block real-time signals (past our wrappers) often leave SIGPROF open: libdispatch
/// does.
static void ask_stragglers(void) {
    install_profile_handler();
    uint32_t count = slot_count();
    for (uint32_t slot = 1; slot < count; slot++) {
        struct granite_thread *thread = &granite_core.page->threads[slot];
        if (__atomic_load_n(&thread->state, __ATOMIC_ACQUIRE) != GRANITE_THREAD_SIGNALLED) continue;
        if (ask_to_park(thread->tid, (int)slot, SIGPROF) != 0) refuse(slot);  // ESRCH: it ended meanwhile
    }
}

/// Async-signal-safe: open, read, close. Every thread's name, parked or not.
static void read_names(void) {
    static const char prefix[] = "/proc/self/task/";
    uint32_t count = slot_count();
    for (uint32_t slot = 0; slot < count; slot++) {
        struct granite_thread *thread = &granite_core.page->threads[slot];
        char path[48];
        char digits[12];
        int used = 0;
        int length = sizeof prefix - 1;
        memcpy(path, prefix, sizeof prefix);
        for (uint32_t tid = thread->tid; tid != 0; tid /= 10) digits[used++] = (char)('0' + tid % 10);
        while (used > 0) path[length++] = digits[--used];
        memcpy(path + length, "/comm", sizeof "/comm");
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0) continue;
        ssize_t size = read(file, thread->name, sizeof thread->name);
        close(file);
        if (size <= 0) continue;
        thread->name[size - 1] = 0;  // the kernel ends it with a newline, at most 15 bytes before (proc(5))
        struct granite_capture *capture = &granite_core.page->capture;
        if (thread->tid == capture->owner_tid) memcpy(capture->owner_name, thread->name, sizeof capture->owner_name);
    }
}

/// Async-signal-safe: open. A full descriptor table must not cost the report: then the spare descriptor goes.
static int open_tasks(void) {
    int tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tasks >= 0 || granite_core.first_signal == 0 || granite_core.spare_fd < 0) return tasks;
    close(granite_core.spare_fd);
    granite_core.spare_fd = -1;
    return open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/// Async-signal-safe.
void granite_park_all(void) {
    struct granite_capture *capture = &granite_core.page->capture;
    uint64_t deadline_ns = granite_clock_ns(CLOCK_MONOTONIC) + granite_core.park_deadline_ns;
    uint64_t patience_ns = deadline_ns - granite_core.park_deadline_ns / 4 * 3;
    __atomic_store_n(&granite_core.parked, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&granite_core.expected, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&granite_core.parking, capture->sequence, __ATOMIC_RELEASE);

    int tasks = open_tasks();
    if (tasks < 0) {
        capture->flags |= GRANITE_CAPTURE_PARK_TIMED_OUT;
        return;
    }
    bool all = false;
    // A thread that was not yet parked may have made another: enumerate again after all have parked, until none is new.
    for (int pass = 0; pass < max_passes; pass++) {
        if (ask_new_threads(tasks) == 0 && pass > 0) break;
        all = wait_for_answers(patience_ns);
        if (!all) {
            ask_stragglers();
            all = wait_for_answers(deadline_ns);
        }
        if (granite_clock_ns(CLOCK_MONOTONIC) >= deadline_ns) break;
    }
    if (!all) capture->flags |= GRANITE_CAPTURE_PARK_TIMED_OUT;
    close(tasks);  // first: it may have been the last free descriptor
    read_names();

    uint32_t count = slot_count();
    for (uint32_t slot = 1; slot < count; slot++) {
        uint32_t state = __atomic_load_n(&granite_core.page->threads[slot].state, __ATOMIC_ACQUIRE);
        if (state == GRANITE_THREAD_PARKED) capture->parked_count++;
    }
}

/// Async-signal-safe: an atomic store, futex(2), sigaction.
void granite_park_release(void) {
    __atomic_store_n(&granite_core.parking, 0, __ATOMIC_RELEASE);
    granite_futex_rouse(&granite_core.parking, INT32_MAX);
    granite_park_return_profile_signal(false);
}
