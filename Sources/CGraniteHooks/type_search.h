// Finds a class by its name. Separate because the message of a Rust extension names a type that Python knows by another
// path.

#ifndef GRANITE_TYPE_SEARCH_H
#define GRANITE_TYPE_SEARCH_H

#include "object_api.h"

/// The type of an extension module that Rust calls `name` (`_granian::wsgi::io::WSGIProtocol`) or Python
/// (`granian._granian.WSGIProtocol`, `WSGIProtocol`): a new reference. NULL if there is none, or if there are several
/// and no more is known. Walks all classes of the process: a millisecond. Leaves no error. With the GIL held.
void *granite_find_type(const char *name);

#endif
