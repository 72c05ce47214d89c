#include "stripe.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

__thread uint32_t creliability_thread_number = 0;

uint32_t creliability_number_thread(void) {
  static atomic_uint last = 0;
  uint32_t number;
  // Skips 0 when the numbers wrap around, since 0 stands for "none yet".
  do {
    number = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
  } while (number == 0);
  creliability_thread_number = number;
  return number;
}

uint32_t creliability_stripe_count(void) {
  static atomic_uint cached = 0;
  uint32_t count = atomic_load_explicit(&cached, memory_order_relaxed);
  if (count != 0) return count;
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  count = 4;
  while (count < 64 && (long)count < 2 * processors) count *= 2;
  atomic_store_explicit(&cached, count, memory_order_relaxed);
  return count;
}

void *creliability_zeroed_alloc(size_t bytes) { return calloc(1, bytes); }

void creliability_zeroed_free(void *memory) { free(memory); }
