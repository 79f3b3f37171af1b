// Placeholder of the module until its first file.
#include "granite_capture.h"
