// Faults of the memory management unit, each in a function whose name a test can expect in the report.

#ifndef CRASH_PROBE_MEMORY_H
#define CRASH_PROBE_MEMORY_H

/// Reads a field 0x48 bytes into an object at address 0.
int granite_probe_null_field(void);
/// Copies with `rep movsb` from address 0.
int granite_probe_null_copy(void);
/// Calls the function in the third slot of a table at address 0.
int granite_probe_null_virtual(void);
/// Reads a canonical address where nothing is mapped.
int granite_probe_unmapped(void);
/// Reads a mapping that was given back.
int granite_probe_use_after_unmap(void);
/// Reads 8 bytes behind the end of a mapping.
int granite_probe_past_end(void);
/// Writes through a freed pointer's poison, 0xdeadbeef and zeros.
int granite_probe_poisoned(void);
/// Follows a pointer that a text was written over.
int granite_probe_text_as_pointer(void);
/// Writes to a non-canonical address.
int granite_probe_wild_write(void);
/// Calls a non-canonical address.
int granite_probe_wild_call(void);
/// Calls bytes in writable data.
int granite_probe_execute_data(void);
/// Writes into a constant.
int granite_probe_write_constant(void);
/// Stores 16 aligned bytes at an odd address: a general protection fault.
int granite_probe_misaligned_vector(void);
/// Returns to an address where nothing is mapped.
int granite_probe_return_to_garbage(void);
/// Returns to an address that is none.
int granite_probe_return_to_text(void);
/// Reads a page of a named file that was cut while mapped: SIGBUS.
int granite_probe_cut_file(void);
/// Two functions that call each other until the stack ends.
int granite_probe_ping(int depth);
int granite_probe_pong(int depth);

#endif
