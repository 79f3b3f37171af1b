// Exceptions and panics are noted where they are thrown, before anything is unwound.

#ifndef GRANITE_THROWS_H
#define GRANITE_THROWS_H

/// Call before any throw; the library's constructor does. Exceptions pass through unchanged with or without it.
__attribute__((visibility("hidden"))) void granite_throws_start(void);

#endif
