#define _GNU_SOURCE 1
#define _DARWIN_C_SOURCE 1

#include "io.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>

// The system call itself: musl has no wrapper, and glibc only since 2.28.
static int rename_with(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
  return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int creliability_open_path_flag(void) { return O_PATH; }

int creliability_rename_noreplace(int from_dir, const char *from, int to_dir, const char *to) {
  return rename_with(from_dir, from, to_dir, to, 1u);
}

int creliability_rename_exchange(int from_dir, const char *from, int to_dir, const char *to) {
  return rename_with(from_dir, from, to_dir, to, 2u);
}

int creliability_fdatasync(int fd) { return fdatasync(fd); }

ssize_t creliability_flistxattr(int fd, char *names, size_t size) {
  return flistxattr(fd, names, size);
}

ssize_t creliability_fgetxattr(int fd, const char *name, void *value, size_t size) {
  return fgetxattr(fd, name, value, size);
}

int creliability_fsetxattr(int fd, const char *name, const void *value, size_t size) {
  return fsetxattr(fd, name, value, size, 0);
}

int creliability_fremovexattr(int fd, const char *name) { return fremovexattr(fd, name); }

#elif defined(__APPLE__)

int creliability_open_path_flag(void) {
#ifdef O_SEARCH
  return O_SEARCH;
#else
  return 0;
#endif
}

int creliability_rename_noreplace(int from_dir, const char *from, int to_dir, const char *to) {
  return renameatx_np(from_dir, from, to_dir, to, RENAME_EXCL);
}

int creliability_rename_exchange(int from_dir, const char *from, int to_dir, const char *to) {
  return renameatx_np(from_dir, from, to_dir, to, RENAME_SWAP);
}

int creliability_fdatasync(int fd) { return fsync(fd); }

ssize_t creliability_flistxattr(int fd, char *names, size_t size) {
  return flistxattr(fd, names, size, 0);
}

ssize_t creliability_fgetxattr(int fd, const char *name, void *value, size_t size) {
  return fgetxattr(fd, name, value, size, 0, 0);
}

int creliability_fsetxattr(int fd, const char *name, const void *value, size_t size) {
  return fsetxattr(fd, name, value, size, 0, 0);
}

int creliability_fremovexattr(int fd, const char *name) { return fremovexattr(fd, name, 0); }

#endif

#if defined(__GLIBC__)
void creliability_error_text(int number, char *buffer, size_t size) {
  // The GNU form may answer with a constant string instead of filling the buffer.
  const char *text = strerror_r(number, buffer, size);
  if (text != buffer) snprintf(buffer, size, "%s", text);
}
#else
void creliability_error_text(int number, char *buffer, size_t size) {
  if (strerror_r(number, buffer, size) != 0) snprintf(buffer, size, "error %d", number);
}
#endif

#if defined(__APPLE__)
void creliability_name_thread(const char *name) { pthread_setname_np(name); }
#else
void creliability_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
#endif
