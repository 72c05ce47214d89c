#include "boot.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

int64_t creliability_boot_nanoseconds(void) {
  struct timespec t;
#if defined(__linux__)
  clock_gettime(CLOCK_BOOTTIME, &t);
#else
  clock_gettime(CLOCK_MONOTONIC, &t);
#endif
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void creliability_boot_id(char *text, size_t size) {
  memset(text, 0, size);
#if defined(__linux__)
  int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  ssize_t count = read(file, text, size - 1);
  close(file);
  if (count <= 0) text[0] = 0;
  text[strcspn(text, "\n")] = 0;
#elif defined(__APPLE__)
  size_t length = size - 1;
  if (sysctlbyname("kern.bootsessionuuid", text, &length, NULL, 0) != 0) text[0] = 0;
#endif
}
