#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Nanoseconds since the machine started, suspended time included.
int64_t creliability_boot_nanoseconds(void);

/// The name the kernel gave to this start of the machine, always terminated; empty where there is none.
void creliability_boot_id(char *text, size_t size);

#pragma clang assume_nonnull end
