/* Owns: a disk that fails when it is told to. Loaded before the C library of one process, it counts that process's calls on files
 * below one path, and for memory, lets the k-th fail, end short, take long or end the process, and writes down what reached the disk.
 * Must never know: what the files mean.
 *
 * MINGLE_SHIM_ROOT     only files whose path begins so are counted.
 * MINGLE_SHIM_CONTROL  a file of 32 numbers (64 bits, this machine's order) that a test writes and we map: see the enum.
 * MINGLE_SHIM_RECORD   where every change is written down, in the order in which it happened.
 * MINGLE_SHIM_OPENS    where every open is written down: its flags, its path. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { ARMED, OPS, AT, STICKY, ACTION, VALUE, COUNT, HITS, CALLS }; /* CALLS and on: how often each call was made */
enum { FAIL = 1, SHORT, KILL, KILL_HALF, DELAY };
enum { PWRITE, WRITE, FSYNC, FTRUNCATE, OPEN, MMAP, UNLINK, PREAD, READ, RENAME, MALLOC };

static volatile uint64_t *control;
static const char *root;
static size_t root_length;
static int record = -1, opens = -1;
static unsigned char ours[1 << 16];
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); real; })

static int appended(const char *path) {
  if (!path) return -1;
  int fd = REAL(open)(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  /* Out of the way: a program may expect low numbers. */
  int far = fcntl(fd, F_DUPFD_CLOEXEC, 900);
  REAL(close)(fd);
  return far;
}

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("MINGLE_SHIM_CONTROL");
  root = getenv("MINGLE_SHIM_ROOT");
  if (root) root_length = strlen(root);
  if (path) {
    int fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
      void *mapped = REAL(mmap)(NULL, 256, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      if (mapped != MAP_FAILED) control = mapped;
      REAL(close)(fd);
    }
  }
  record = appended(getenv("MINGLE_SHIM_RECORD"));
  opens = appended(getenv("MINGLE_SHIM_OPENS"));
}

static int below(const char *path) { return root && path && !strncmp(path, root, root_length); }
static int known(int fd) { return fd >= 0 && fd < (int)sizeof ours && ours[fd]; }

/* What is to become of this call: 0, or an action. */
static int verdict(int op) {
  if (!control) return 0;
  __atomic_add_fetch(&control[CALLS + op], 1, __ATOMIC_SEQ_CST);
  if (!control[ARMED] || !(control[OPS] >> op & 1)) return 0;
  uint64_t count = __atomic_add_fetch(&control[COUNT], 1, __ATOMIC_SEQ_CST);
  if (control[STICKY] ? count < control[AT] : count != control[AT]) return 0;
  __atomic_add_fetch(&control[HITS], 1, __ATOMIC_SEQ_CST);
  int action = (int)control[ACTION];
  if (action == KILL || (action == KILL_HALF && op > WRITE)) kill(getpid(), SIGKILL);
  if (action == DELAY) {
    struct timespec time = {control[VALUE] / 1000, control[VALUE] % 1000 * 1000000};
    nanosleep(&time, NULL);
    return 0;
  }
  if (action == SHORT && op > WRITE) return 0;
  errno = (int)control[VALUE];
  return action;
}

/* One change: its letter, the length of its path, the path, two numbers, bytes. One call, so that changes never mix. */
static void note(char kind, const char *path, int64_t a, int64_t b, const void *bytes, size_t length) {
  if (record < 0) return;
  uint16_t size = (uint16_t)strlen(path);
  char head[3] = {kind, (char)(size & 255), (char)(size >> 8)};
  struct iovec parts[5] = {{head, 3}, {(void *)path, size}, {&a, 8}, {&b, 8}, {(void *)bytes, length}};
  int saved = errno;
  (void)!REAL(writev)(record, parts, length ? 5 : 4);
  errno = saved;
}

static const char *name_of(int fd, char *room) {
  char link[40];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, room, 511);
  room[length < 0 ? 0 : length] = 0;
  return room;
}

/* Changes are made and noted under one lock, or two threads could be noted in the wrong order. */
#define NOTED(call, when, kind, path, a, b, bytes, length) ({ \
  __typeof__(call) done_; \
  if (record >= 0) pthread_mutex_lock(&order); \
  done_ = call; \
  if (record >= 0) { if (when) note(kind, path, a, b, bytes, length); pthread_mutex_unlock(&order); } \
  done_; })

static int opened(int fd, const char *path, int flags, int was_there) {
  if (fd < 0 || fd >= (int)sizeof ours) return fd;
  ours[fd] = 1;
  if ((flags & O_CREAT) && !was_there) note('C', path, 0, 0, NULL, 0);
  return fd;
}

#define OPENS(name, real_call) \
  mode_t mode = 0; \
  if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); } \
  if (!below(path)) return real_call; \
  if (opens >= 0) dprintf(opens, "%o %s\n", (unsigned)flags, path); \
  if (verdict(OPEN)) return -1; \
  int was_there = access(path, F_OK) == 0; \
  return opened(real_call, path, flags, was_there);

int open(const char *path, int flags, ...) { OPENS(open, REAL(open)(path, flags, mode)) }
int open64(const char *path, int flags, ...) { OPENS(open64, REAL(open64)(path, flags, mode)) }
int openat(int at, const char *path, int flags, ...) { OPENS(openat, REAL(openat)(at, path, flags, mode)) }
int openat64(int at, const char *path, int flags, ...) { OPENS(openat64, REAL(openat64)(at, path, flags, mode)) }

int close(int fd) {
  if (known(fd)) ours[fd] = 0;
  return REAL(close)(fd);
}

#define WRITES(name, op, call, half_call, offset) \
  if (!known(fd)) return call; \
  int what = verdict(op); \
  if (what == FAIL) return -1; \
  if (what == SHORT || what == KILL_HALF) { length /= 2; ssize_t part = half_call; if (what == KILL_HALF) kill(getpid(), SIGKILL); return part; } \
  char room[512]; \
  name_of(fd, room); \
  return NOTED(call, done_ > 0, 'W', room, offset, done_, bytes, (size_t)done_);

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
  WRITES(pwrite64, PWRITE, REAL(pwrite64)(fd, bytes, length, at), REAL(pwrite64)(fd, bytes, length, at), at)
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
  WRITES(pwrite, PWRITE, REAL(pwrite)(fd, bytes, length, at), REAL(pwrite)(fd, bytes, length, at), at)
}
ssize_t write(int fd, const void *bytes, size_t length) {
  WRITES(write, WRITE, REAL(write)(fd, bytes, length), REAL(write)(fd, bytes, length), -1)
}

#define SIMPLE(op, call) \
  if (!known(fd)) return call; \
  if (verdict(op)) return -1; \
  return call;

ssize_t pread64(int fd, void *bytes, size_t length, off64_t at) { SIMPLE(PREAD, REAL(pread64)(fd, bytes, length, at)) }
ssize_t pread(int fd, void *bytes, size_t length, off_t at) { SIMPLE(PREAD, REAL(pread)(fd, bytes, length, at)) }
ssize_t read(int fd, void *bytes, size_t length) { SIMPLE(READ, REAL(read)(fd, bytes, length)) }

#define SYNCS(call) \
  if (!known(fd)) return call; \
  if (verdict(FSYNC)) return -1; \
  char room[512]; \
  name_of(fd, room); \
  return NOTED(call, done_ == 0, 'S', room, 0, 0, NULL, 0);

int fsync(int fd) { SYNCS(REAL(fsync)(fd)) }
int fdatasync(int fd) { SYNCS(REAL(fdatasync)(fd)) }

#define CUTS(call) \
  if (!known(fd)) return call; \
  if (verdict(FTRUNCATE)) return -1; \
  char room[512]; \
  name_of(fd, room); \
  return NOTED(call, done_ == 0, 'T', room, length, 0, NULL, 0);

int ftruncate(int fd, off_t length) { CUTS(REAL(ftruncate)(fd, length)) }
int ftruncate64(int fd, off64_t length) { CUTS(REAL(ftruncate64)(fd, length)) }

void *mmap(void *at, size_t length, int access, int flags, int fd, off_t offset) {
  if (known(fd) && verdict(MMAP)) return MAP_FAILED;
  return REAL(mmap)(at, length, access, flags, fd, offset);
}
void *mmap64(void *at, size_t length, int access, int flags, int fd, off64_t offset) {
  if (known(fd) && verdict(MMAP)) return MAP_FAILED;
  return REAL(mmap64)(at, length, access, flags, fd, offset);
}

/* Asked for by anybody in the process; the C library itself is asked under another name. */
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
void *malloc(size_t size) { return verdict(MALLOC) ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return verdict(MALLOC) ? NULL : __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return verdict(MALLOC) ? NULL : __libc_realloc(old, size); }

int unlink(const char *path) {
  if (!below(path)) return REAL(unlink)(path);
  if (verdict(UNLINK)) return -1;
  return NOTED(REAL(unlink)(path), done_ == 0, 'U', path, 0, 0, NULL, 0);
}
int rename(const char *from, const char *to) {
  if (!below(from)) return REAL(rename)(from, to);
  if (verdict(RENAME)) return -1;
  return NOTED(REAL(rename)(from, to), done_ == 0, 'R', from, 0, (int64_t)strlen(to), to, strlen(to));
}
