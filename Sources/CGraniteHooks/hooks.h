// The hook functions as Python's built-in functions, for their installation.

#ifndef GRANITE_HOOK_FUNCTIONS_H
#define GRANITE_HOOK_FUNCTIONS_H

#include "granite_hooks.h"
#include "python_api.h"

/// Never written after the program's start.
extern struct granite_method granite_unraisable_method;
extern struct granite_method granite_threading_method;
extern struct granite_method granite_sys_method;

#endif
