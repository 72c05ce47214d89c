#pragma once

#include <stdint.h>

#include "stripe.h"

// The few calls and constants that the C library's Swift overlay lacks, or that Swift cannot spell
// (macros with arguments, variadic functions). No logic lives here.

/// Nanoseconds of the wall clock since 1970-01-01 00:00 UTC.
int64_t creliability_wall_nanoseconds(void);
