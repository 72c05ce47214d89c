#define _GNU_SOURCE 1
#define _DARWIN_C_SOURCE 1

#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#endif

static int64_t nanoseconds(struct timeval time) {
  return (int64_t)time.tv_sec * 1000000000 + (int64_t)time.tv_usec * 1000;
}

int creliability_process_wait(int32_t pid, int pidfd, int reap, creliability_exit *result) {
  struct rusage usage;
  memset(&usage, 0, sizeof usage);
  siginfo_t info;
  memset(&info, 0, sizeof info);
  int options = WEXITED | WNOHANG | (reap ? 0 : WNOWAIT);
#if defined(__linux__)
  // The call itself also gives the rusage, which the C library's does not.
  long outcome;
  do {
    outcome = syscall(
        SYS_waitid, pidfd >= 0 ? P_PIDFD : P_PID, pidfd >= 0 ? pidfd : pid, &info, options, &usage);
  } while (outcome == -1 && errno == EINTR);
  if (outcome == -1) return -1;
#else
  int outcome;
  do { outcome = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT); } while (outcome == -1 && errno == EINTR);
  if (outcome == -1) return -1;
  if (info.si_pid != 0 && reap) {
    int status;
    while (wait4(pid, &status, 0, &usage) == -1 && errno == EINTR) {}
  }
#endif
  if (info.si_pid == 0) return 0;
  result->code = info.si_code == CLD_EXITED ? info.si_status : -1;
  result->signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
  result->user_nanoseconds = nanoseconds(usage.ru_utime);
  result->system_nanoseconds = nanoseconds(usage.ru_stime);
#if defined(__APPLE__)
  result->peak_resident_bytes = usage.ru_maxrss;
#else
  result->peak_resident_bytes = (int64_t)usage.ru_maxrss * 1024;
#endif
  result->blocks_read = usage.ru_inblock;
  result->blocks_written = usage.ru_oublock;
  return 1;
}

int creliability_signal_group(int32_t group, int number) {
  // 0 and 1 would mean the caller's own group and everybody.
  if (group <= 1) return EINVAL;
  return kill(-group, number) == 0 ? 0 : errno;
}

int creliability_signal_process(int32_t pid, uint64_t start, int number) {
  if (pid <= 1) return EINVAL;
  creliability_process process;
#if defined(__linux__)
  // Opened before the look: from here on the number means this process and no later one.
  int descriptor = (int)syscall(SYS_pidfd_open, pid, 0);
  if (descriptor == -1 && errno == ESRCH) return ESRCH;
  int failure = creliability_process_read(pid, &process);
  if (failure == 0 && process.start != start) failure = ESRCH;
  if (failure == 0) {
    long outcome = descriptor >= 0 ? syscall(SYS_pidfd_send_signal, descriptor, number, NULL, 0)
                                   : kill(pid, number);
    if (outcome == -1) failure = errno;
  }
  if (descriptor >= 0) close(descriptor);
  return failure;
#else
  int failure = creliability_process_read(pid, &process);
  if (failure != 0) return failure;
  if (process.start != start) return ESRCH;
  return kill(pid, number) == 0 ? 0 : errno;
#endif
}

// Moves a descriptor out of the way of the standard three, which a program may have closed.
static int above_standard(int fd) {
  if (fd < 0 || fd > 2) return fd;
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  int failure = errno;
  close(fd);
  errno = failure;
  return moved;
}

int creliability_pipe(int *reading, int *writing) {
  int ends[2];
#if defined(__linux__)
  if (pipe2(ends, O_CLOEXEC) == -1) return errno;
#else
  if (pipe(ends) == -1) return errno;
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
#endif
  ends[0] = above_standard(ends[0]);
  if (ends[0] == -1) {
    int failure = errno;
    close(ends[1]);
    return failure;
  }
  ends[1] = above_standard(ends[1]);
  if (ends[1] == -1 || fcntl(ends[0], F_SETFL, O_NONBLOCK) == -1) {
    int failure = errno;
    close(ends[0]);
    if (ends[1] != -1) close(ends[1]);
    return failure;
  }
  *reading = ends[0];
  *writing = ends[1];
  return 0;
}

int creliability_null_input(void) { return above_standard(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

void creliability_close(int fd) { close(fd); }

int creliability_error_number(void) { return errno; }

ssize_t creliability_read(int fd, void *buffer, size_t size) {
  ssize_t count;
  do { count = read(fd, buffer, size); } while (count == -1 && errno == EINTR);
  return count == -1 ? -errno : count;
}

int creliability_would_block(int number) { return number == EAGAIN || number == EWOULDBLOCK; }

int64_t creliability_file_size(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 ? (int64_t)status.st_size : -1;
}

extern char **environ;
#if defined(__APPLE__)
#include <crt_externs.h>
char **creliability_environment(void) { return *_NSGetEnviron(); }
#else
static char *no_environment[] = {NULL};
char **creliability_environment(void) { return environ != NULL ? environ : no_environment; }
#endif

int64_t creliability_own_peak_bytes(void) {
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#if defined(__APPLE__)
  return usage.ru_maxrss;
#else
  return (int64_t)usage.ru_maxrss * 1024;
#endif
}

int64_t creliability_memory_bytes(void) {
  return (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

#if defined(__linux__)

#include <sys/epoll.h>
#include <sys/eventfd.h>

static int ticks_per_second;
static int page_size;

__attribute__((constructor)) static void read_units(void) {
  ticks_per_second = (int)sysconf(_SC_CLK_TCK);
  page_size = (int)sysconf(_SC_PAGESIZE);
}

// proc(5), /proc/PID/stat. The name in parentheses may hold anything, parentheses and spaces included.
int creliability_process_parse(const char *text, size_t size, creliability_process *process) {
  const char *close_mark = memrchr(text, ')', size);
  if (close_mark == NULL) return EINVAL;
  const char *at = close_mark + 1, *end = text + size;
  int64_t fields[25] = {0};
  char state = 0;
  int field = 3;
  while (at < end && field <= 24) {
    while (at < end && *at == ' ') at++;
    if (at == end || *at == '\n') break;
    if (field == 3) {
      state = *at++;
    } else {
      int negative = *at == '-';
      if (negative) at++;
      uint64_t value = 0;
      if (at == end || *at < '0' || *at > '9') return EINVAL;
      while (at < end && *at >= '0' && *at <= '9') value = value * 10 + (uint64_t)(*at++ - '0');
      fields[field] = negative ? -(int64_t)value : (int64_t)value;
    }
    field++;
  }
  if (field <= 24) return EINVAL;
  process->pid = (int32_t)strtol(text, NULL, 10);
  process->parent = (int32_t)fields[4];
  process->group = (int32_t)fields[5];
  process->session = (int32_t)fields[6];
  process->cpu_nanoseconds = (fields[14] + fields[15] + fields[16] + fields[17]) *
                             (1000000000 / (ticks_per_second > 0 ? ticks_per_second : 100));
  process->start = (uint64_t)fields[22];
  process->resident_bytes = fields[24] * page_size;
  process->is_zombie = state == 'Z' || state == 'X';
  return 0;
}

static int read_file(int32_t pid, const char *name, char *buffer, size_t size, size_t *count) {
  char path[40];
  // snprintf is a third of the cost of a read.
  char digits[12];
  int length = 0;
  uint32_t rest = (uint32_t)pid;
  do { digits[length++] = (char)('0' + rest % 10); rest /= 10; } while (rest != 0);
  char *at = path;
  memcpy(at, "/proc/", 6);
  at += 6;
  while (length > 0) *at++ = digits[--length];
  *at++ = '/';
  strcpy(at, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd == -1) return errno == ENOENT ? ESRCH : errno;
  ssize_t n = creliability_read(fd, buffer, size - 1);
  int failure = n < 0 ? (int)-n : 0;
  close(fd);
  if (failure != 0) return failure;
  if (n == 0) return ESRCH;
  buffer[n] = 0;
  *count = (size_t)n;
  return 0;
}

int creliability_process_read(int32_t pid, creliability_process *process) {
  char text[1024];
  size_t count;
  int failure = read_file(pid, "stat", text, sizeof text, &count);
  if (failure != 0) return failure;
  return creliability_process_parse(text, count, process);
}

int creliability_process_io(int32_t pid, int64_t *bytes_read, int64_t *bytes_written) {
  char text[512];
  size_t count;
  int failure = read_file(pid, "io", text, sizeof text, &count);
  if (failure != 0) return failure;
  const char *from = strstr(text, "\nread_bytes: ");
  const char *to = strstr(text, "\nwrite_bytes: ");
  if (from == NULL || to == NULL) return EINVAL;
  *bytes_read = strtoll(from + 13, NULL, 10);
  *bytes_written = strtoll(to + 14, NULL, 10);
  return 0;
}

// The kernel's own layout of a directory entry.
struct entry {
  uint64_t inode;
  int64_t offset;
  unsigned short size;
  unsigned char type;
  char name[];
};

int creliability_process_list(int32_t *pids, int capacity) {
  int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd == -1) return -1;
  char buffer[16384] __attribute__((aligned(8)));
  int count = 0;
  for (;;) {
    long n = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
    if (n == -1 && errno == EINTR) continue;
    if (n <= 0) {
      int failure = errno;
      close(fd);
      errno = failure;
      return n == 0 ? count : -1;
    }
    for (long at = 0; at < n;) {
      struct entry *entry = (struct entry *)(buffer + at);
      at += entry->size;
      if (entry->name[0] < '1' || entry->name[0] > '9') continue;
      if (count < capacity) pids[count] = (int32_t)strtol(entry->name, NULL, 10);
      count++;
    }
  }
}

int creliability_poller_open(void) { return epoll_create1(EPOLL_CLOEXEC); }

int creliability_poller_add(int poller, int fd, uint64_t token) {
  struct epoll_event event;
  memset(&event, 0, sizeof event);
  event.events = EPOLLIN;
  event.data.u64 = token;
  return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

int creliability_poller_add_process(int poller, int32_t pid, int pidfd, uint64_t token) {
  return pidfd < 0 ? ENOSYS : creliability_poller_add(poller, pidfd, token);
}

void creliability_poller_remove(int poller, int fd) { epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL); }

int creliability_poller_add_waker(int poller, uint64_t token) {
  int waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (waker == -1) return -1;
  int failure = creliability_poller_add(poller, waker, token);
  if (failure == 0) return waker;
  close(waker);
  errno = failure;
  return -1;
}

void creliability_poller_wake(int poller, int waker) {
  uint64_t one = 1;
  while (write(waker, &one, sizeof one) == -1 && errno == EINTR) {}
}

void creliability_poller_clear(int waker) {
  uint64_t count;
  while (read(waker, &count, sizeof count) == -1 && errno == EINTR) {}
}

int creliability_poller_wait(int poller, uint64_t *tokens, int capacity, int milliseconds) {
  struct epoll_event events[64];
  if (capacity > 64) capacity = 64;
  int count = epoll_wait(poller, events, capacity, milliseconds);
  for (int i = 0; i < count; i++) tokens[i] = events[i].data.u64;
  return count < 0 ? 0 : count;
}

#else  // Apple platforms; compiled there, unverified.

#include <libproc.h>
#include <sys/event.h>
#include <sys/proc_info.h>

int creliability_process_parse(const char *text, size_t size, creliability_process *process) {
  return EINVAL;
}

int creliability_process_read(int32_t pid, creliability_process *process) {
  struct proc_taskallinfo info;
  int size = proc_pidinfo(pid, PROC_PIDTASKALLINFO, 0, &info, sizeof info);
  if (size < (int)sizeof info) return ESRCH;
  process->pid = pid;
  process->parent = (int32_t)info.pbsd.pbi_ppid;
  process->group = (int32_t)info.pbsd.pbi_pgid;
  process->session = (int32_t)getsid(pid);
  process->start = info.pbsd.pbi_start_tvsec * 1000000 + info.pbsd.pbi_start_tvusec;
  process->cpu_nanoseconds =
      (int64_t)(info.ptinfo.pti_total_user + info.ptinfo.pti_total_system);
  process->resident_bytes = (int64_t)info.ptinfo.pti_resident_size;
  process->is_zombie = info.pbsd.pbi_status == 5;
  return 0;
}

int creliability_process_io(int32_t pid, int64_t *bytes_read, int64_t *bytes_written) {
  struct rusage_info_v2 usage;
  if (proc_pid_rusage(pid, RUSAGE_INFO_V2, (rusage_info_t *)&usage) != 0) return errno;
  *bytes_read = (int64_t)usage.ri_diskio_bytesread;
  *bytes_written = (int64_t)usage.ri_diskio_byteswritten;
  return 0;
}

int creliability_process_list(int32_t *pids, int capacity) {
  int count = proc_listallpids(pids, capacity * (int)sizeof(int32_t));
  return count < 0 ? -1 : count;
}

int creliability_poller_open(void) {
  int poller = kqueue();
  if (poller >= 0) fcntl(poller, F_SETFD, FD_CLOEXEC);
  return poller;
}

static int change(int poller, uintptr_t name, int16_t filter, uint16_t flags, uint32_t notes, uint64_t token) {
  struct kevent event;
  EV_SET(&event, name, filter, flags, notes, 0, (void *)(uintptr_t)token);
  return kevent(poller, &event, 1, NULL, 0, NULL) == -1 ? errno : 0;
}

int creliability_poller_add(int poller, int fd, uint64_t token) {
  return change(poller, (uintptr_t)fd, EVFILT_READ, EV_ADD, 0, token);
}

int creliability_poller_add_process(int poller, int32_t pid, int pidfd, uint64_t token) {
  return change(poller, (uintptr_t)pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, token);
}

void creliability_poller_remove(int poller, int fd) {
  change(poller, (uintptr_t)fd, EVFILT_READ, EV_DELETE, 0, 0);
}

int creliability_poller_add_waker(int poller, uint64_t token) {
  int failure = change(poller, 0, EVFILT_USER, EV_ADD | EV_CLEAR, 0, token);
  if (failure == 0) return 0;
  errno = failure;
  return -1;
}

void creliability_poller_wake(int poller, int waker) {
  change(poller, 0, EVFILT_USER, 0, NOTE_TRIGGER, 0);
}

void creliability_poller_clear(int waker) {}

int creliability_poller_wait(int poller, uint64_t *tokens, int capacity, int milliseconds) {
  struct kevent events[64];
  if (capacity > 64) capacity = 64;
  struct timespec time = {milliseconds / 1000, (milliseconds % 1000) * 1000000};
  int count = kevent(poller, NULL, 0, events, capacity, milliseconds < 0 ? NULL : &time);
  for (int i = 0; i < count; i++) tokens[i] = (uint64_t)(uintptr_t)events[i].udata;
  return count < 0 ? 0 : count;
}

#endif
