#pragma once

#include <stddef.h>
#include <errno.h>
#include <stdint.h>
#include <sys/types.h>

// Child processes: starting, awaiting, signalling and measuring them, and waiting for several descriptors at once. Each
// function that can fail returns an errno, or -1 with errno set where it says so. What to do about it is decided elsewhere.

#pragma clang assume_nonnull begin

/// What a child is started with. Every descriptor is close-on-exec and above 2.
typedef struct {
  /// Paths to try in order, ended by NULL: the program itself, or one for each directory of PATH.
  const char *_Nullable const *_Nonnull candidates;
  const char *_Nullable const *_Nonnull arguments;
  const char *_Nullable const *_Nonnull environment;
  /// The working directory, or NULL for the caller's.
  const char *_Nullable directory;
  int input;
  int output;
  int error;
  /// RLIMIT_AS in bytes, 0 for none.
  uint64_t address_space;
  /// Whether the kernel kills the child when the thread that starts it ends.
  int ends_with_parent;
} creliability_spawn_plan;

/// Where starting a child failed.
enum {
  creliability_spawn_stage_none = 0,
  creliability_spawn_stage_clone = 1,
  creliability_spawn_stage_session = 2,
  creliability_spawn_stage_descriptors = 3,
  creliability_spawn_stage_directory = 4,
  creliability_spawn_stage_limit = 5,
  creliability_spawn_stage_exec = 6,
};

/// Starts a child in a session of its own, with default signal handling, an empty signal mask, and no descriptor but the
/// three. Returns 0 or an errno, and then nothing is left behind. `pidfd` is -1 where the kernel has none.
int creliability_spawn(
    const creliability_spawn_plan *plan, int32_t *pid, int *pidfd, int *stage);

/// How a child ended and what it and its awaited descendants used.
typedef struct {
  /// The exit code, or -1.
  int32_t code;
  /// The number of the signal that ended it, or 0.
  int32_t signal;
  int64_t user_nanoseconds;
  int64_t system_nanoseconds;
  /// The largest resident size of any one process, in bytes.
  int64_t peak_resident_bytes;
  int64_t blocks_read;
  int64_t blocks_written;
} creliability_exit;

/// Looks whether the child has ended and, with `reap`, removes what is left of it. Returns 1 when it has, 0 when it has
/// not, -1 with errno set when there is no such child (ECHILD).
int creliability_process_wait(int32_t pid, int pidfd, int reap, creliability_exit *result);

/// Sends a signal to a process group; 0 only asks whether it exists. Returns 0 or an errno.
int creliability_signal_group(int32_t group, int signal);

/// Sends a signal to one process, unless its start time is another one's. Returns 0 or an errno.
int creliability_signal_process(int32_t pid, uint64_t start, int signal);

/// A pipe, both ends close-on-exec and above 2, the reading one non-blocking. Returns 0 or an errno.
int creliability_pipe(int *reading, int *writing);

/// /dev/null for reading, close-on-exec and above 2. -1 with errno set on failure.
int creliability_null_input(void);

void creliability_close(int fd);

/// The calling thread's errno.
int creliability_error_number(void);

/// read(2), restarted after signals. A negated errno on failure.
ssize_t creliability_read(int fd, void *buffer, size_t size);

/// Whether the number means that a descriptor has nothing to read yet.
int creliability_would_block(int number);

/// The size in bytes of the file, -1 when there is none.
int64_t creliability_file_size(const char *path);

/// The calling process's environment, ended by NULL.
char *_Nullable *_Nonnull creliability_environment(void);

/// One process as the kernel describes it.
typedef struct {
  int32_t pid;
  int32_t parent;
  int32_t group;
  int32_t session;
  /// When it started, in units of the kernel's own; tells it from a later one with the same number.
  uint64_t start;
  /// Its own processor time, and that of the children it has awaited.
  int64_t cpu_nanoseconds;
  int64_t resident_bytes;
  /// Whether it has ended and is only kept for its parent.
  int is_zombie;
} creliability_process;

/// Fills in the process. Returns 0 or an errno (ESRCH when it is gone).
int creliability_process_read(int32_t pid, creliability_process *process);

/// Whether a call failed for want of descriptors or memory: then it says nothing about the process.
static inline int creliability_is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM;
}

/// Whether a call failed because the process has ended.
static inline int creliability_is_gone(int error) { return error == ESRCH || error == ENOENT; }

/// The same from the text of /proc/PID/stat, for tests. Returns 0, or EINVAL when the text is not one.
int creliability_process_parse(const char *text, size_t size, creliability_process *process);

/// Bytes a process caused to be read from and written to storage. Returns 0 or an errno.
int creliability_process_io(int32_t pid, int64_t *bytes_read, int64_t *bytes_written);

/// The numbers of all processes, at most `capacity` of them. Returns how many there are, or -1 with errno set.
int creliability_process_list(int32_t *pids, int capacity);

/// The largest resident size of the calling process so far, in bytes.
int64_t creliability_own_peak_bytes(void);

/// The machine's memory in bytes.
int64_t creliability_memory_bytes(void);

/// A set of descriptors to wait for: epoll, or kqueue on Apple platforms. -1 with errno set on failure.
int creliability_poller_open(void);

/// Reports the descriptor under `token` for as long as it can be read. Returns 0 or an errno.
int creliability_poller_add(int poller, int fd, uint64_t token);

/// Reports the process under `token` when it ends. Returns 0 or an errno.
int creliability_poller_add_process(int poller, int32_t pid, int pidfd, uint64_t token);

void creliability_poller_remove(int poller, int fd);

/// Makes the wait of another thread return. `waker` comes from `creliability_poller_add_waker`.
void creliability_poller_wake(int poller, int waker);

/// A waker for the poller, reported under `token`. -1 with errno set on failure.
int creliability_poller_add_waker(int poller, uint64_t token);

/// Takes back the wake-ups so far.
void creliability_poller_clear(int waker);

/// Waits for at most so many milliseconds (-1 for ever) and fills in the tokens of what is ready. Returns how many.
int creliability_poller_wait(int poller, uint64_t *tokens, int capacity, int milliseconds);

#pragma clang assume_nonnull end
