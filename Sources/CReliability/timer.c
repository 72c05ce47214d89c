#if defined(__linux__)
#define _GNU_SOURCE
#include "CReliability.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

int creliability_timer_open(void) {
  return timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
}

void creliability_timer_set(int descriptor, int64_t nanoseconds) {
  struct itimerspec setting = {0};
  setting.it_value.tv_sec = nanoseconds / 1000000000;
  setting.it_value.tv_nsec = nanoseconds % 1000000000;
  if (timerfd_settime(descriptor, 0, &setting, NULL) != 0) abort();
}

struct reader {
  int descriptor;
  void (*expired)(void *);
  void *context;
};

static void *read_forever(void *argument) {
  struct reader reader = *(struct reader *)argument;
  free(argument);
  pthread_setname_np(pthread_self(), "deadlines");
  for (;;) {
    uint64_t expirations;
    ssize_t n = read(reader.descriptor, &expirations, sizeof expirations);
    if (n == sizeof expirations) {
      reader.expired(reader.context);
    } else if (errno != EINTR) {
      // Somebody else closed our descriptor. Going on would mean that no limit of the process ever passes.
      abort();
    }
  }
}

int creliability_timer_thread(int descriptor, void (*expired)(void *), void *context) {
  struct reader *reader = malloc(sizeof *reader);
  if (reader == NULL) return ENOMEM;
  *reader = (struct reader){descriptor, expired, context};

  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  int failure = pthread_create(&thread, &attributes, read_forever, reader);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (failure != 0) free(reader);
  return failure;
}
#endif
