#include "CReliabilityAllocationCounter.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

// A sanitizer brings its own malloc. Elsewhere than in glibc there is no second name to pass a call on to.
#if defined(__GLIBC__) && !defined(SANITIZED)

#include <malloc.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static atomic_bool counting = false;
static _Atomic uint64_t allocations = 0;

static inline void count_one(void) {
  if (__builtin_expect(atomic_load_explicit(&counting, memory_order_relaxed), 0)) {
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
  }
}

// `free` is not replaced: the memory is the C library's own.

void *malloc(size_t size) {
  count_one();
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  count_one();
  return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
  count_one();
  return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size) {
  count_one();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  count_one();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
  if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0) {
    return EINVAL;
  }
  count_one();
  // Unlike malloc, it reports an error by its result alone.
  int saved = errno;
  void *memory = __libc_memalign(alignment, size);
  errno = saved;
  if (memory == NULL) return ENOMEM;
  *result = memory;
  return 0;
}

bool creliability_counts_allocations(void) { return true; }

void creliability_count_allocations(bool on) {
  atomic_store_explicit(&counting, on, memory_order_relaxed);
}

uint64_t creliability_allocation_count(void) {
  return atomic_load_explicit(&allocations, memory_order_relaxed);
}

#else

bool creliability_counts_allocations(void) { return false; }

void creliability_count_allocations(bool on) { (void)on; }

uint64_t creliability_allocation_count(void) { return 0; }

#endif

#if defined(__GLIBC__) && (__GLIBC__ > 2 || (__GLIBC__ == 2 && __GLIBC_MINOR__ >= 33))

#include <malloc.h>

int64_t creliability_heap_bytes(void) {
  struct mallinfo2 info = mallinfo2();
  return (int64_t)(info.uordblks + info.hblkhd);
}

#else

int64_t creliability_heap_bytes(void) { return -1; }

#endif

#if defined(__GLIBC__)

#include <malloc.h>

void creliability_heap_trim(void) { malloc_trim(0); }

#else

void creliability_heap_trim(void) {}

#endif
