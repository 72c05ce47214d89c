#pragma once

// Tells the thread sanitizer, where the program is built with it, that a lock was taken or is about to be given up.
// Elsewhere the weak symbols are null and the calls cost a test.
#if defined(__linux__)
extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

static inline void creliability_lock_taken(void *lock) {
  if (__tsan_acquire) __tsan_acquire(lock);
}

static inline void creliability_lock_given_up(void *lock) {
  if (__tsan_release) __tsan_release(lock);
}
#else
static inline void creliability_lock_taken(void *lock) {}
static inline void creliability_lock_given_up(void *lock) {}
#endif
