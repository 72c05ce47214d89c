#pragma once

#include <stdint.h>

#include "boot.h"
#include "stripe.h"
#include "io.h"
#include "process.h"
#include "sanitizer.h"

// The few calls and constants that the C library's Swift overlay lacks, or that Swift cannot spell
// (macros with arguments, variadic functions). No logic lives here.

/// Nanoseconds of the wall clock since 1970-01-01 00:00 UTC.
int64_t creliability_wall_nanoseconds(void);

#if defined(__linux__)
/// A kernel timer on CLOCK_BOOTTIME, close-on-exec; -1 on failure.
int creliability_timer_open(void);
/// Makes the timer expire once after so many nanoseconds (more than zero), in place of an earlier setting.
void creliability_timer_set(int descriptor, int64_t nanoseconds);
/// Starts a detached thread that calls `expired(context)` after every expiry, for ever. All signals are blocked
/// in it. Returns 0 or an errno.
int creliability_timer_thread(int descriptor, void (*expired)(void *), void *context);
#endif
