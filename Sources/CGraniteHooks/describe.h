// What is known of an object that a hook was told of: lines of details for the report, and the thread that made it. The
// hooks ask; what watches types and walks references answers.

#ifndef GRANITE_DESCRIBE_H
#define GRANITE_DESCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "granite_crash_page.h"

/// A PyObject of the running interpreter. Python.h is not needed at run time, nor to build.
typedef void *PyObjectPointer;

/// Lines of `key=value`, as granite_capture.details has them.
struct granite_details {
    char text[GRANITE_DETAILS_CAPACITY];  ///< NUL-terminated
    size_t length;
};

/// Adds one line, whole or not at all. Line ends and control characters of the value become spaces.
void granite_details_add(struct granite_details *details, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/// The thread that made an object, and where.
struct granite_owner {
    uint32_t tid;
    char name[16];        ///< NUL-terminated, "" if it is not known
    uint64_t created_ns;  ///< CLOCK_REALTIME, 0 = not known
    uint64_t frames[GRANITE_MAX_CREATION_FRAMES];  ///< return addresses, innermost first
    uint32_t frame_count;
    bool known;  ///< false: all of the above is 0
};

/// Adds what is known of the object and its type, and fills `owner`. With the GIL held, no error set and none left; may be slow: it is
/// called for an occasion that is reported, not for one that is counted.
///
/// `object` is borrowed and NULL where only the type is known; `type` is its PyTypeObject, or NULL where only `type_name` is known (the
/// message of PyO3 names a type); `unsendable` says that the object may be used on one thread alone.
void granite_describe_object(PyObjectPointer object, void *type, bool unsendable, const char *type_name,
                             struct granite_details *details, struct granite_owner *owner);

/// Whether the creation of the object that the calling thread is deallocating was recorded, so that a report of it names its owner. False
/// if `type` is not NULL and is not its type. Some nanoseconds. With the GIL held.
bool granite_origin_known(void *type);

/// Watches the types that the environment names: GRANITE_WATCH_TYPES=`Name,module.Name`. With the GIL held, no error set and none left;
/// call it now and then, as extension modules are imported: it costs nothing without the variable or once all are found, and looks at
/// most once a second.
void granite_watch_named_types(void);

#endif
