#pragma once

#include <stddef.h>
#include <stdint.h>

// What a striped counter needs from C: a number for the calling thread that costs one load, and zeroed memory whose
// untouched pages stay unmapped.

/// The calling thread's number, or 0 before its first use. Only `creliability_stripe` reads it.
extern __thread uint32_t creliability_thread_number;

/// Gives the calling thread the next number and returns it.
uint32_t creliability_number_thread(void);

/// A small number that tells the calling thread from others: 1 for the first thread that asks, 2 for the second.
///
/// Threads numbered one after another fall on different stripes, whatever the (power of two) number of stripes.
static inline uint32_t creliability_stripe(void) {
  uint32_t number = creliability_thread_number;
  return __builtin_expect(number != 0, 1) ? number : creliability_number_thread();
}

/// How many stripes are worth having here: a power of two, at least twice the number of processors, from 4 to 64.
uint32_t creliability_stripe_count(void);

/// So many zeroed bytes, or NULL. Free them with `creliability_zeroed_free`.
void *creliability_zeroed_alloc(size_t bytes);

/// Gives the memory back.
void creliability_zeroed_free(void *memory);
