// Gives up the interposed functions in a build under the Thread Sanitizer, whose runtime interposes the same ones and must be alone in
// that: there they get names that nobody calls. Include it after all others.

#ifndef GRANITE_SANITIZER_H
#define GRANITE_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
// With parentheses, so that `struct sigaction` keeps its name.
#define pthread_create(...) granite_idle_pthread_create(__VA_ARGS__)
#define pthread_sigmask(...) granite_idle_pthread_sigmask(__VA_ARGS__)
#define sigprocmask(...) granite_idle_sigprocmask(__VA_ARGS__)
#define sigaltstack(...) granite_idle_sigaltstack(__VA_ARGS__)
#define dl_iterate_phdr(...) granite_idle_dl_iterate_phdr(__VA_ARGS__)
#define sigaction(...) granite_idle_sigaction(__VA_ARGS__)
#define signal(...) granite_idle_signal(__VA_ARGS__)
#endif
#endif

#endif
