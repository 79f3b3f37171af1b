#include "crash_probe.h"
