// ptrace(2), which Glibc shows to Swift neither with its variadic arguments nor with its constants. Thin: each call returns 0, or -1 and errno.
// All calls for one process belong to one thread of ours.

#ifndef GRANITE_TRACE_H
#define GRANITE_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Words of a thread's general registers (struct user_regs_struct): 27 on x86_64, 34 on aarch64.
enum { GRANITE_TRACE_MAX_WORDS = 34 };

/// A signal on its way to a thread (siginfo_t).
struct granite_trace_signal {
    int32_t number, code, error;
    int32_t sender_pid;   ///< 0 unless a process sent it
    uint32_t sender_uid;
    uint64_t address;  ///< si_addr of a fault, else 0
};

/// What waitpid(2) told of a traced thread.
enum granite_trace_event {
    GRANITE_TRACE_NOTHING,    ///< it runs
    GRANITE_TRACE_GONE,       ///< it ended, or is none of ours; `detail` is the wait status, -1 without one
    GRANITE_TRACE_SIGNAL,     ///< it is stopped, with the signal `detail` to be delivered
    GRANITE_TRACE_INTERRUPT,  ///< it is stopped, because it was asked to, or because it is new
    GRANITE_TRACE_GROUP,      ///< it is stopped like its whole process, by the signal `detail`
    GRANITE_TRACE_CLONE,      ///< it is stopped, because it made another thread
};

/// PTRACE_SEIZE: the thread runs on. With `follows`, threads that it makes are seized too.
int granite_trace_seize(pid_t thread, int follows);
/// PTRACE_INTERRUPT: asks it to stop.
int granite_trace_interrupt(pid_t thread);
/// waitpid(2) of one traced thread, or of any (-1); without `waits` it returns at once. The thread is stored in *which.
enum granite_trace_event granite_trace_wait(pid_t thread, int waits, pid_t *_Nonnull which, int *_Nonnull detail);
/// PTRACE_GETREGSET NT_PRSTATUS of a stopped thread: the number of words, or -1. `thread_pointer` is pthread_self().
int granite_trace_registers(pid_t thread, uint64_t words[_Nonnull GRANITE_TRACE_MAX_WORDS],
                            uint64_t *_Nonnull thread_pointer);
/// PTRACE_GETSIGINFO of a thread that is stopped with a signal.
int granite_trace_signal_of(pid_t thread, struct granite_trace_signal *_Nonnull signal);
/// A stopped thread whose system call ended with EINTR because it was stopped begins that call anew, where the kernel does not see to that
/// by itself: epoll_wait(2) and its relatives, semop(2) without a time-out (signal(7)). 1 if so.
int granite_trace_restart(pid_t thread);
/// PTRACE_CONT with a signal, or 0 for none.
int granite_trace_continue(pid_t thread, int signal);
/// PTRACE_LISTEN: a thread of a stopped process stays stopped.
int granite_trace_listen(pid_t thread);
/// PTRACE_DETACH with a signal, or 0 for none.
int granite_trace_detach(pid_t thread, int signal);

#endif
