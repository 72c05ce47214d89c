#define _GNU_SOURCE 1
#define _DARWIN_C_SOURCE 1

#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define CLOSE_ON_EXEC_RANGE 4u

// The child shares the parent's memory until it executes the program, as with vfork: nothing is copied, however large
// the parent is, and an error comes back exactly. The parent's thread stands still meanwhile. Between the two the child
// makes nothing but system calls: the C library's wrappers may be a sanitizer's, or take locks that are held.

// Not `clone`: the thread sanitizer takes that for `fork`, whose child has its own memory.
extern int __clone(int (*run)(void *), void *stack, int flags, void *argument, ...);

struct start {
  const creliability_spawn_plan *plan;
  pid_t parent;
  int stage;
  int failure;
};

// What the kernel's rt_sigaction takes: zeros mean the default handling.
struct kernel_action {
  void *handler;
  unsigned long flags;
  void *restorer;
  uint64_t mask;
};

#define UNWATCHED __attribute__((disable_sanitizer_instrumentation, no_sanitize("undefined")))

UNWATCHED static int failed(struct start *start, int stage) {
  start->stage = stage;
  start->failure = errno;
  syscall(SYS_exit_group, 127);
  return 127;
}

UNWATCHED static int place(int from, int to) {
#if defined(SYS_dup2)
  return (int)syscall(SYS_dup2, from, to);
#else
  return (int)syscall(SYS_dup3, from, to, 0);
#endif
}

UNWATCHED static void close_others(void) {
  if (syscall(SYS_close_range, 3u, ~0u, CLOSE_ON_EXEC_RANGE) == 0) return;
  // Before Linux 5.11: one by one.
  struct rlimit limit = {0, 0};
  syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
  unsigned long count = limit.rlim_cur < 1048576 ? (unsigned long)limit.rlim_cur : 1048576;
  for (unsigned long fd = 3; fd < count; fd++) syscall(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
}

UNWATCHED static int run_child(void *argument) {
  struct start *start = argument;
  const creliability_spawn_plan *plan = start->plan;

  // All signals are blocked here. A handler of the program's would run in its memory as soon as they are not.
  struct kernel_action action;
  action.handler = NULL;
  action.flags = 0;
  action.restorer = NULL;
  action.mask = 0;
  for (int number = 1; number <= 64; number++) {
    if (number == SIGKILL || number == SIGSTOP) continue;
    syscall(SYS_rt_sigaction, number, &action, NULL, sizeof action.mask);
  }

  if (syscall(SYS_setsid) == -1) return failed(start, creliability_spawn_stage_session);
  if (plan->ends_with_parent) {
    syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    // It may have ended before it was asked for; a parent outside the child's process table has the number 0.
    long parent = syscall(SYS_getppid);
    if (parent != start->parent && parent != 0) {
      errno = ESRCH;
      return failed(start, creliability_spawn_stage_session);
    }
  }
  if (place(plan->input, 0) == -1 || place(plan->output, 1) == -1 || place(plan->error, 2) == -1) {
    return failed(start, creliability_spawn_stage_descriptors);
  }
  close_others();
  if (plan->directory != NULL && syscall(SYS_chdir, plan->directory) == -1) {
    return failed(start, creliability_spawn_stage_directory);
  }
  if (plan->address_space != 0) {
    uint64_t limit[2];
    limit[0] = plan->address_space;
    limit[1] = plan->address_space;
    if (syscall(SYS_prlimit64, 0, RLIMIT_AS, limit, NULL) == -1) {
      return failed(start, creliability_spawn_stage_limit);
    }
  }
  uint64_t nothing = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &nothing, NULL, sizeof nothing);

  // As execvp: a file that may not be executed is remembered while the later places are tried.
  int refused = 0;
  errno = ENOENT;
  for (const char *const *path = plan->candidates; *path != NULL; path++) {
    syscall(SYS_execve, *path, plan->arguments, plan->environment);
    if (errno == EACCES) refused = 1;
    else if (errno != ENOENT && errno != ENOTDIR) return failed(start, creliability_spawn_stage_exec);
  }
  if (refused) errno = EACCES;
  return failed(start, creliability_spawn_stage_exec);
}

int creliability_spawn(
    const creliability_spawn_plan *plan, int32_t *pid, int *pidfd, int *stage) {
  // Deep enough for a few frames and system calls; the kernel copies the arguments itself.
  char stack[16384] __attribute__((aligned(64)));
  struct start start = {plan, getpid(), creliability_spawn_stage_none, 0};

  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
  int descriptor = -1;
  pid_t child =
      __clone(run_child, stack + sizeof stack, flags | CLONE_PIDFD, &start, &descriptor);
  // Before Linux 5.2.
  if (child == -1 && errno == EINVAL) {
    child = __clone(run_child, stack + sizeof stack, flags, &start);
  }
  int failure = child == -1 ? errno : 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);

  if (child == -1) {
    *stage = creliability_spawn_stage_clone;
    return failure;
  }
  if (start.failure != 0) {
    creliability_exit ignored;
    while (creliability_process_wait(child, -1, 1, &ignored) == 0) sched_yield();
    if (descriptor >= 0) close(descriptor);
    *stage = start.stage;
    return start.failure;
  }
  *pid = child;
  *pidfd = descriptor;
  *stage = creliability_spawn_stage_none;
  return 0;
}

#else  // Apple platforms; compiled there, unverified.

#include <spawn.h>

int creliability_spawn(
    const creliability_spawn_plan *plan, int32_t *pid, int *pidfd, int *stage) {
  *pidfd = -1;
  *stage = creliability_spawn_stage_limit;
  if (plan->address_space != 0) return ENOTSUP;
  *stage = creliability_spawn_stage_descriptors;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int failure = posix_spawn_file_actions_init(&actions);
  if (failure != 0) return failure;
  failure = posix_spawnattr_init(&attributes);
  if (failure != 0) {
    posix_spawn_file_actions_destroy(&actions);
    return failure;
  }
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  failure = posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                       POSIX_SPAWN_CLOEXEC_DEFAULT);
  if (failure == 0) failure = posix_spawn_file_actions_adddup2(&actions, plan->input, 0);
  if (failure == 0) failure = posix_spawn_file_actions_adddup2(&actions, plan->output, 1);
  if (failure == 0) failure = posix_spawn_file_actions_adddup2(&actions, plan->error, 2);
  if (failure == 0 && plan->directory != NULL) {
    *stage = creliability_spawn_stage_directory;
    failure = posix_spawn_file_actions_addchdir_np(&actions, plan->directory);
  }
  if (failure == 0) {
    *stage = creliability_spawn_stage_exec;
    int refused = 0;
    failure = ENOENT;
    for (const char *const *path = plan->candidates; *path != NULL; path++) {
      pid_t child;
      failure = posix_spawn(
          &child, *path, &actions, &attributes, (char *const *)plan->arguments,
          (char *const *)plan->environment);
      if (failure == 0) *pid = child;
      if (failure == EACCES) refused = 1;
      else if (failure != ENOENT && failure != ENOTDIR) break;
    }
    if (refused && failure != 0) failure = EACCES;
  }
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return failure;
}

#endif
