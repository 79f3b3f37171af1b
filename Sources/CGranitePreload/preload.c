// Installs the capture when a program starts.

#include "granite_preload.h"

#include <granite_capture.h>

/// Read by swift-autolink-extract, whose output stands before -lswiftCore on the linker's command line: the Swift driver
/// asks for its runtime even where no Swift is linked, and a foreign process must not get one.
__attribute__((used, section(".swift1_autolink_entries"))) static const char autolink[] = "-Wl,--as-needed";

/// Call before any crash: by the dynamic linker, before main.
__attribute__((constructor)) static void start(void) { (void)granite_capture_page(); }
