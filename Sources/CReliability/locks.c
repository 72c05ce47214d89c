#define _GNU_SOURCE 1
#define _DARWIN_C_SOURCE 1

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/vfs.h>
#else
#include <sys/mount.h>
#include <sys/param.h>
#endif

#if defined(__linux__)

// Linux, include/uapi/asm-generic/fcntl.h; since 3.15.
#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#endif

static struct flock range_lock(int kind, int64_t start, int64_t length) {
  struct flock lock;
  memset(&lock, 0, sizeof lock);
  lock.l_type = kind == 0 ? F_UNLCK : kind == 1 ? F_RDLCK : F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

int creliability_ofd_lock(int fd, int kind, int64_t start, int64_t length, int waits) {
  struct flock lock = range_lock(kind, start, length);
  return fcntl(fd, waits ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
}

int creliability_ofd_is_locked(int fd, int kind, int64_t start, int64_t length) {
  struct flock lock = range_lock(kind, start, length);
  if (fcntl(fd, F_OFD_GETLK, &lock) == -1) return -1;
  return lock.l_type == F_UNLCK ? 0 : 1;
}

#else

int creliability_ofd_lock(int fd, int kind, int64_t start, int64_t length, int waits) {
  errno = ENOSYS;
  return -1;
}

int creliability_ofd_is_locked(int fd, int kind, int64_t start, int64_t length) {
  errno = ENOSYS;
  return -1;
}

#endif

#if defined(__linux__)

// Linux, include/uapi/linux/magic.h, and the file systems' own headers.
static const struct {
  uint32_t magic;
  const char *name;
  int is_network;
} kinds[] = {
    {0xEF53, "ext4", 0},        {0x58465342, "xfs", 0},       {0x9123683E, "btrfs", 0},
    {0x01021994, "tmpfs", 0},   {0x794C7630, "overlay", 0},   {0xF2F52010, "f2fs", 0},
    {0x2FC12FC1, "zfs", 0},     {0x858458F6, "ramfs", 0},     {0x4D44, "vfat", 0},
    {0x2011BAB0, "exfat", 0},   {0xCA451A4E, "bcachefs", 0},  {0x73717368, "squashfs", 0},
    {0x6969, "nfs", 1},         {0xFE534D42, "smb2", 1},      {0xFF534D42, "cifs", 1},
    {0x517B, "smb", 1},         {0x65735546, "fuse", 1},      {0x01021997, "9p", 1},
    {0x00C36400, "ceph", 1},    {0x5346414F, "afs", 1},       {0x0BD00BD0, "lustre", 1},
    {0x47504653, "gpfs", 1},    {0x01161970, "gfs2", 1},      {0x7461636F, "ocfs2", 1},
    {0x786F4256, "vboxsf", 1},  {0xBACBACBC, "vmhgfs", 1},
};

int creliability_file_system_kind(int fd, char *name, size_t size, int *is_network) {
  struct statfs status;
  if (fstatfs(fd, &status) == -1) return -1;
  uint32_t magic = (uint32_t)status.f_type;
  *is_network = 0;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    if (kinds[i].magic != magic) continue;
    *is_network = kinds[i].is_network;
    snprintf(name, size, "%s", kinds[i].name);
    return 0;
  }
  snprintf(name, size, "0x%x", magic);
  return 0;
}

#else

int creliability_file_system_kind(int fd, char *name, size_t size, int *is_network) {
  struct statfs status;
  if (fstatfs(fd, &status) == -1) return -1;
  *is_network = (status.f_flags & MNT_LOCAL) == 0;
  snprintf(name, size, "%s", status.f_fstypename);
  return 0;
}

#endif
