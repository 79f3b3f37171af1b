// What the program asked for with sigaction(2) of the signals whose handler is ours. The kernel keeps our handler; what
// the program believes is kept here.

#ifndef GRANITE_ACTIONS_H
#define GRANITE_ACTIONS_H

#include <signal.h>
#include <stdbool.h>

#pragma GCC visibility push(hidden)

typedef int (*granite_action_function)(int, const struct sigaction *, struct sigaction *);
/// The C library's sigaction, resolved by granite_actions_load. NULL before.
extern granite_action_function granite_next_action;

/// Async-signal-safe. sigaction(2) past the interposed one: what the kernel does.
int granite_action_change(int signal, const struct sigaction *action, struct sigaction *old);
/// Async-signal-safe. Whether the program's action for this signal is kept here.
bool granite_action_is_kept(int signal);
/// Async-signal-safe. The program's action. False if the signal is none that is kept.
bool granite_action_recall(int signal, struct sigaction *action);
/// Async-signal-safe. The program wants this action from now on.
void granite_action_remember(int signal, const struct sigaction *action);
/// Async-signal-safe. Takes the signals that a fault raises in the thread itself out of a set: a fault while its signal
/// is blocked kills at once, without a handler (sigaction(2)).
void granite_action_open_faults(sigset_t *set);
/// Async-signal-safe. Takes the signals whose blocking would cost a report out of a set: those of faults, the park and
/// the dump signal.
void granite_action_open(sigset_t *set);

/// actions_interpose.c. Call before any crash. Resolves granite_next_action; false if there is none.
bool granite_actions_load(void);

#pragma GCC visibility pop

#endif
