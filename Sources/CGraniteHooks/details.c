// Writes lines of details. Values come from the application: they are bounded and cannot forge a line.

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "describe.h"

/// Any thread.
void granite_details_add(struct granite_details *details, const char *key, const char *format, ...) {
    char value[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    if (length <= 0) return;
    for (char *byte = value; *byte; byte++)
        if ((unsigned char)*byte < 0x20 || *byte == 0x7f) *byte = ' ';
    size_t room = sizeof details->text - details->length;
    size_t needed = strlen(key) + 1 + strlen(value) + 1;
    if (needed >= room) return;
    details->length += (size_t)snprintf(details->text + details->length, room, "%s=%s\n", key, value);
}
