// Crashes in a process whose state is against the capture: locks held, signals blocked, descriptors and stacks gone.

#ifndef HOSTILE_PROBE_H
#define HOSTILE_PROBE_H

#include <stdint.h>

/// Faults inside malloc(3) with the arena's lock held, a second thread asleep.
int granite_hostile_fault_in_malloc(void);
/// The same, while another thread waits for the lock in malloc(3).
int granite_hostile_fault_in_contended_malloc(void);
/// malloc(3) finds its arena broken, and aborts with the lock held.
int granite_hostile_abort_in_malloc(void);
/// Opens a library whose constructor crashes, while another thread waits for the loader's lock.
int granite_hostile_dlopen(const char *_Nonnull library);
/// Reads address 0 in a handler of SIGUSR1. `flags` of its action.
int granite_hostile_fault_in_handler(int flags);
/// Aborts in a handler of SIGUSR1 that blocks every signal.
int granite_hostile_abort_in_masked_handler(void);
/// A child of fork(2) crashes and is waited for; then this process does.
int granite_hostile_crash_after_fork(void);
/// Registers an atexit(3) handler that crashes. Returns 0: the crash comes at exit.
int granite_hostile_crash_at_exit(void);
/// `count` threads fault or abort at the same moment, with different signals.
int granite_hostile_many_at_once(int count);
/// Blocks all signals with pthread_sigmask(3), then reads address 0.
int granite_hostile_fault_with_all_blocked(void);
/// The same by the system call itself, past every wrapper.
int granite_hostile_fault_with_all_blocked_raw(void);
/// Closes every descriptor from 3 on, then reads address 0.
int granite_hostile_fault_without_descriptors(void);
/// Closes descriptors 10 and 11 and gives their numbers to the file `path`, then reads address 0.
int granite_hostile_fault_with_other_descriptors(const char *_Nonnull path);
/// Leaves so little address space that a thread fits, but no alternate stack beside it; the thread reads address 0.
int granite_hostile_fault_at_address_limit(void);
/// RLIMIT_FSIZE 0, then reads address 0.
int granite_hostile_fault_at_file_limit(void);
/// Reads address 0 on the stack of a coroutine.
int granite_hostile_fault_on_coroutine(void);
/// Overflows the stack of a coroutine.
int granite_hostile_overflow_on_coroutine(void);
/// Points the stack pointer nowhere and pushes.
int granite_hostile_wild_stack_pointer(void);
/// Disables the thread's alternate stack, then overflows.
int granite_hostile_overflow_without_alternate_stack(void);
/// Gives the thread the smallest alternate stack that the kernel takes, then overflows.
int granite_hostile_overflow_with_small_alternate_stack(void);
/// The same alternate stack, and the dump signal with `word` for this thread. Returns 0 if the stack is there afterwards.
int granite_hostile_dump_with_small_alternate_stack(uint64_t word);
/// Reads address 0 in a thread made by clone(2).
int granite_hostile_fault_in_clone(void);

/// Calls `capture`, which captures all threads and goes on. Returns 0 if neither this thread nor another one that ran
/// meanwhile found its errno changed.
int granite_hostile_errno_is_kept(void (*_Nonnull capture)(void));

/// Allocates under the signal mask of a capture: what a detector of such allocations must notice.
int granite_hostile_allocate_as_in_capture(void);

/// A handler that leaves by siglongjmp(3): a program that tries addresses. Returns 0 if it could, 2 rounds.
int granite_hostile_handler_recovers(void);
/// A recovery, then a fault that nobody handles.
int granite_hostile_fault_after_recovery(void);
/// The same on a thread, whose own stack may lie right below its alternate stack. `flags` of the action. Returns 0.
int granite_hostile_thread_recovers(int flags);
/// A handler as faulthandler's, and a stack that overflows: the first thread's or another one's.
int granite_hostile_overflow_with_handler(int on_thread);
/// A handler that itself overflows the stack it runs on.
int granite_hostile_handler_overflows(void);
/// A handler that makes the page writable, as a garbage collector's write barrier: 5,000 times. Returns 0.
int granite_hostile_handler_mends(void);
/// A handler that goes on behind the instruction, as a virtual machine does: 2,000 times. Returns 0.
int granite_hostile_handler_skips(void);
/// A handler that returns and mends nothing.
int granite_hostile_handler_returns(void);
/// A handler that restores the default action and returns.
int granite_hostile_handler_restores(void);
/// A handler that restores the default action and raises the signal.
int granite_hostile_handler_raises(void);
/// As faulthandler: SA_NODEFER, restores the previous action, raises.
int granite_hostile_handler_raises_previous(void);
/// As sentry-native: an alternate stack of its own, all actions restored, raises.
int granite_hostile_handler_of_sentry(void);
/// A handler that calls abort(3).
int granite_hostile_handler_aborts(void);
/// A handler that ends the process with code 9.
int granite_hostile_handler_exits(void);
/// A handler that faults itself, by a write to address 8.
int granite_hostile_handler_faults(void);
/// signal(3) of System V: the default action is back when the handler is called.
int granite_hostile_handler_once(void);
/// A handler set by the system call itself, which calls the one before it: ours.
int granite_hostile_handler_raw(void);
/// A handler of SIGABRT that returns to abort(3).
int granite_hostile_abort_handler_returns(void);
/// SIGABRT ignored, abort(3).
int granite_hostile_abort_ignored(void);
/// raise(3) of SIGABRT with a handler, then ignored: the program goes on. Returns 0.
int granite_hostile_raise_is_harmless(void);
/// sigaction(2) and signal(3) tell what the program set, not ours. Returns 0.
int granite_hostile_actions_are_true(void);
/// The park and the dump signal stay Granite's in the kernel, and the program's handlers of them are called; a child of
/// fork(2) has these. Returns 0.
int granite_hostile_signals_are_kept(void);
/// A handler that blocks everything runs with the signals of faults, the park and the dump signal open. Returns 0.
int granite_hostile_handler_masks_are_open(void);

/// Gives `count` random contexts (ucontext_t) to `walk`, which returns how many frames it found; prints what it cost.
/// Returns 0.
int granite_hostile_walk_random(uint64_t seed, uint32_t count, uint32_t (*_Nonnull walk)(const void *_Nonnull context));

/// Reads address 0 while a step of libunwind never ends.
int granite_hostile_fault_with_hanging_unwinder(void);

/// Runs `script` in a Python of the library, e.g. "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0\nimport os". Returns
/// what Py_FinalizeEx returns.
int granite_hostile_python(const char *_Nonnull library_and_script);

#endif
