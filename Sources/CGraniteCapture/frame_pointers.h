// What the frame-pointer walk has to be told about a thread.

#ifndef GRANITE_FRAME_POINTERS_H
#define GRANITE_FRAME_POINTERS_H

#include <stddef.h>
#include <stdint.h>

/// Async-signal-safe. Frames of the calling thread lie below `top`, at most `size` bytes. Without this the walk stops
/// after one frame.
__attribute__((visibility("hidden"))) void granite_frame_pointers_begin(const void *top, size_t size);

#endif
