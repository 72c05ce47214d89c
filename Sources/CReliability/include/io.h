#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// File calls whose constants or signatures differ between platforms, or that the Swift overlays lack.
// Each returns -1 and sets errno on failure, as the call it stands for. No logic lives here.

#pragma clang assume_nonnull begin

/// open(2) flag for a descriptor that only names a directory (O_PATH, O_SEARCH), or 0 where there is none.
int creliability_open_path_flag(void);

/// renameat2(2) with RENAME_NOREPLACE (renameatx_np with RENAME_EXCL on Apple platforms).
int creliability_rename_noreplace(int from_dir, const char *from, int to_dir, const char *to);

/// renameat2(2) with RENAME_EXCHANGE (renameatx_np with RENAME_SWAP on Apple platforms).
int creliability_rename_exchange(int from_dir, const char *from, int to_dir, const char *to);

/// fdatasync(2); fsync(2) where that is missing.
int creliability_fdatasync(int fd);

ssize_t creliability_flistxattr(int fd, char *_Nullable names, size_t size);
ssize_t creliability_fgetxattr(int fd, const char *name, void *_Nullable value, size_t size);
int creliability_fsetxattr(int fd, const char *name, const void *_Nullable value, size_t size);
int creliability_fremovexattr(int fd, const char *name);

/// fcntl(2) F_OFD_SETLK, or F_OFD_SETLKW with `waits`: a byte-range lock owned by the open file description.
/// `kind` is 0 to unlock, 1 for shared, 2 for exclusive; a length of 0 is up to the end of all offsets.
/// Where there are no such locks: -1 with ENOSYS.
int creliability_ofd_lock(int fd, int kind, int64_t start, int64_t length, int waits);

/// F_OFD_GETLK: 1 when another open file description holds a lock that excludes this one, 0 when none does.
int creliability_ofd_is_locked(int fd, int kind, int64_t start, int64_t length);

/// fstatfs(2): the name of the file system's type, always terminated, and whether it is a network one.
int creliability_file_system_kind(int fd, char *name, size_t size, int *is_network);

/// CRC-32C (Castagnoli), as iSCSI and ext4 use it, continued from `crc` (0 to begin).
uint32_t creliability_crc32c(uint32_t crc, const void *_Nullable bytes, size_t count);

/// The same without the processor's instruction, for tests.
uint32_t creliability_crc32c_by_table(uint32_t crc, const void *_Nullable bytes, size_t count);

/// The C library's text for an error number, in `buffer` (always terminated). Thread-safe.
void creliability_error_text(int number, char *buffer, size_t size);

/// Names the calling thread, as debuggers and `top -H` show it: at most 15 bytes.
void creliability_name_thread(const char *name);

#pragma clang assume_nonnull end
