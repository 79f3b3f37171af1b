// Installs the hooks.

#include "granite_hooks.h"

/// With the GIL held.
bool granite_hooks_install(void) { return false; }
