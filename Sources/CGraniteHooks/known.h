// Remembers which mistakes were met before: their texts are on the page, so they need not be formatted again only to be
// counted.

#ifndef GRANITE_KNOWN_H
#define GRANITE_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

enum granite_admission {
    GRANITE_ADMIT_COUNT = 0,  ///< count it without texts; no report now
    GRANITE_ADMIT_KNOWN = 1,  ///< count it without texts; a report if the count asks for one
    GRANITE_ADMIT_NEW = 2,    ///< count it with texts; a report if the count asks for one
};

/// How to treat one more of `fingerprint`. New once per fingerprint. Any thread.
enum granite_admission granite_known_admit(uint64_t fingerprint);

/// A report of it is being made: none again within a second, even if this one fails because another capture runs. Any
/// thread.
void granite_known_note_attempt(uint64_t fingerprint);

#endif
