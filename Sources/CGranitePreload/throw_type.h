// What an exception object says of itself. Separate from the recording of throws, because it depends on the layouts of two C++ runtimes.

#ifndef GRANITE_THROW_TYPE_H
#define GRANITE_THROW_TYPE_H

#include <stdbool.h>
#include <stdint.h>
#include <unwind.h>

struct granite_thrown {
    uint32_t language;       ///< enum granite_throw_language
    bool is_again;           ///< it was thrown before: `throw;`, std::rethrow_exception
    const char *type;        ///< name() of its std::type_info, "" if there is none; lives as long as its library
    const void *object;      ///< the object that was thrown first; NULL: not C++
};

/// Async-signal-safe: it reads the exception alone, which is whole while it is raised.
__attribute__((visibility("hidden"))) struct granite_thrown granite_throw_describe(
    const struct _Unwind_Exception *exception);

#endif
