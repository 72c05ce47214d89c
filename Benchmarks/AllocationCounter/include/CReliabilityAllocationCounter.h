#pragma once

#include <stdbool.h>
#include <stdint.h>

// Counts the allocations of the whole process: on Linux with glibc, this target's malloc and its siblings take the place
// of the C library's, count, and pass the call on. The Swift runtime allocates through them, so every object, closure
// context, task and array buffer that reaches the heap is seen. Nothing is preloaded; linking the target is enough.

/// Whether allocations can be counted here.
bool creliability_counts_allocations(void);

/// Begins or ends the counting. While it is off, an allocation costs one load more.
void creliability_count_allocations(bool on);

/// How many allocations were counted since the start of the process, by all threads.
uint64_t creliability_allocation_count(void);

/// Bytes that the program holds from malloc, over all arenas; -1 where that cannot be asked.
int64_t creliability_heap_bytes(void);

/// Gives free memory back to the system where malloc can, so that what stays resident is in use.
void creliability_heap_trim(void);
