// A disk that fails, and a process that dies, exactly where a test says: preloaded (LD_PRELOAD) into the
// program under test, it stands between it and the C library, and counts the calls by which the program
// changes files below one directory and speaks to the network.
//
//   SHIM_DIR     the directory, absolute and without links
//   SHIM_FAULT   HOW:N, what befalls the N-th call, from 1:
//                kill-before, kill-after   the process dies by SIGKILL
//                EIO, ENOSPC               the call fails
//                EIO+, ENOSPC+             it and all later ones fail
//                Disk errors befall no socket, ENOSPC only what allocates; only what it may befall is counted.
//   SHIM_ONLY    counts only calls of this name, as SHIM_REPORT has it
//   SHIM_REPORT  a file that is told which call it was when the fault strikes: "HOW:N CALL PATH"
//   SHIM_LOG     a file that keeps all changes in their order, each as "CALL OFFSET LENGTH PATH\n" and so
//                many bytes: what was written, or where a file was moved. A sync that failed is "failed-sync".
//
// Changes to SHIM_DIR/acks are kept and never fail: there a program says what it believes to be durable.
// What is written through a memory map is not seen: of a journal that is only SQLite's -shm file, which no
// process trusts that comes after a crash.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

// The C library's own function.
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// What a call does; what it needs decides which faults may befall it.
enum kind { ALLOCATES, CHANGES, SENDS };
enum how { NOTHING, KILL_BEFORE, KILL_AFTER, ONCE, EVER };

static const char *dir;
static size_t dir_length;
static enum how how = NOTHING;
static int error;      // ONCE and EVER: which one
static long strikes;   // the call that is struck
static const char *only; // the calls that are counted, where not all
static long calls;     // how many there have been
static int log_to = -1;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER; // calls and their log have one order

__attribute__((constructor)) static void begin(void) {
  dir = getenv("SHIM_DIR");
  dir_length = dir ? strlen(dir) : 0;
  const char *fault = getenv("SHIM_FAULT"), *log = getenv("SHIM_LOG");
  if (fault) {
    const char *n = strchr(fault, ':');
    strikes = n ? atol(n + 1) : 0;
    if (!strncmp(fault, "kill-before:", 12)) how = KILL_BEFORE;
    else if (!strncmp(fault, "kill-after:", 11)) how = KILL_AFTER;
    else how = n && n[-1] == '+' ? EVER : ONCE;
    error = strncmp(fault, "ENOSPC", 6) ? EIO : ENOSPC;
  }
  only = getenv("SHIM_ONLY");
  if (log) log_to = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

// ---- Which calls are ours

// The part of a path below the directory, in `below`.
static int is_below(const char *path, char below[PATH_MAX]) {
  if (!dir || strncmp(path, dir, dir_length) || (path[dir_length] && path[dir_length] != '/')) return 0;
  snprintf(below, PATH_MAX, "%s", path[dir_length] ? path + dir_length + 1 : ".");
  return 1;
}

static int names_ours(const char *path, char below[PATH_MAX]) {
  char whole[2 * PATH_MAX], here[PATH_MAX];
  if (!dir) return 0;
  if (path[0] == '/') return is_below(path, below);
  if (!getcwd(here, sizeof here)) return 0;
  snprintf(whole, sizeof whole, "%s/%s", here, path);
  return is_below(whole, below);
}

static int is_our_file(int fd, char below[PATH_MAX]) {
  char link[64], path[PATH_MAX];
  int saved = errno;
  if (!dir) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  errno = saved;
  if (length < 0) return 0;
  path[length] = 0;
  return is_below(path, below);
}

static int is_network(int fd) {
  int family = 0, saved = errno;
  socklen_t size = sizeof family;
  int known = dir && !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
  errno = saved;
  return known && (family == AF_INET || family == AF_INET6);
}

// ---- What befalls them

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static void report(const char *call, const char *below) {
  const char *path = getenv("SHIM_REPORT");
  int to = path ? REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  if (to < 0) return;
  dprintf(to, "%s %s %s\n", getenv("SHIM_FAULT"), call, below);
  close(to);
}

// Begins a call: counts it, and gives the error that it fails with, or 0.
static int enter(const char *call, const char *below, enum kind kind) {
  pthread_mutex_lock(&turn);
  if (how == NOTHING || !strcmp(below, "acks")) return 0;
  int by_disk = how == ONCE || how == EVER;
  if (by_disk && (kind == SENDS || (error == ENOSPC && kind != ALLOCATES))) return 0;
  if (only && strcmp(only, call)) return 0;
  calls++;
  if (calls == strikes || (how == EVER && calls > strikes)) report(call, below);
  if (calls == strikes && how == KILL_BEFORE) die();
  return by_disk && (calls == strikes || (how == EVER && calls > strikes)) ? error : 0;
}

// Ends it: keeps what it has changed.
static void leave(const char *call, const char *below, off_t at, const void *data, size_t length) {
  if (log_to >= 0) {
    char head[PATH_MAX + 64];
    int size = snprintf(head, sizeof head, "%s %lld %zu %s\n", call, (long long)at, length, below);
    struct iovec both[2] = {{head, (size_t)size}, {(void *)data, length}};
    if (REAL(writev)(log_to, both, 2) != (ssize_t)(size + length)) abort();
  }
}

static void done(int failed) {
  if (how == KILL_AFTER && calls == strikes) die();
  pthread_mutex_unlock(&turn);
  if (failed) errno = failed;
}

// A call on a path or an open file that changes it by `REAL_CALL`, which gives -1 where it fails.
#define CHANGE(CALL, BELOW, KIND, AT, DATA, LENGTH, REAL_CALL)              \
  int failed = enter(CALL, BELOW, KIND);                                    \
  __typeof__(REAL_CALL) result = -1;                                        \
  if (!failed) {                                                            \
    result = REAL_CALL;                                                     \
    if (result < 0) failed = errno;                                         \
    else leave(CALL, BELOW, AT, DATA, LENGTH);                              \
  }                                                                         \
  if (failed && !strcmp(CALL, "sync")) leave("failed-sync", BELOW, 0, "", 0); \
  done(failed);                                                             \
  return result;

// ---- The calls

static off_t position(int fd) {
  struct stat file;
  if (fcntl(fd, F_GETFL) & O_APPEND && !fstat(fd, &file)) return file.st_size;
  return lseek(fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *data, size_t length) {
  char below[PATH_MAX];
  if (!is_our_file(fd, below)) {
    if (!is_network(fd)) return REAL(write)(fd, data, length);
    CHANGE("send", "-", SENDS, 0, "", 0, REAL(write)(fd, data, length));
  }
  off_t at = position(fd);
  CHANGE("write", below, ALLOCATES, at, data, (size_t)result, REAL(write)(fd, data, length));
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) {
  char below[PATH_MAX];
  if (!is_our_file(fd, below)) return REAL(pwrite64)(fd, data, length, at);
  CHANGE("write", below, ALLOCATES, at, data, (size_t)result, REAL(pwrite64)(fd, data, length, at));
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return pwrite64(fd, data, length, at); }

// Of several pieces a file gets the first: a short write, which every caller has to go on from.
ssize_t writev(int fd, const struct iovec *pieces, int count) {
  char below[PATH_MAX];
  if (is_our_file(fd, below)) {
    int first = 0;
    while (first < count - 1 && !pieces[first].iov_len) first++;
    return count ? write(fd, pieces[first].iov_base, pieces[first].iov_len) : 0;
  }
  if (!is_network(fd)) return REAL(writev)(fd, pieces, count);
  CHANGE("send", "-", SENDS, 0, "", 0, REAL(writev)(fd, pieces, count));
}

int ftruncate64(int fd, off64_t size) {
  char below[PATH_MAX];
  if (!is_our_file(fd, below)) return REAL(ftruncate64)(fd, size);
  CHANGE("truncate", below, ALLOCATES, size, "", 0, REAL(ftruncate64)(fd, size));
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int fsync(int fd) {
  char below[PATH_MAX];
  if (!is_our_file(fd, below)) return REAL(fsync)(fd);
  CHANGE("sync", below, CHANGES, 0, "", 0, REAL(fsync)(fd));
}
int fdatasync(int fd) { return fsync(fd); }

int rename(const char *from, const char *to) {
  char below[PATH_MAX], beside[PATH_MAX];
  if (!names_ours(from, below) || !names_ours(to, beside)) return REAL(rename)(from, to);
  CHANGE("rename", below, CHANGES, 0, beside, strlen(beside), REAL(rename)(from, to));
}

int unlink(const char *path) {
  char below[PATH_MAX];
  if (!names_ours(path, below)) return REAL(unlink)(path);
  CHANGE("unlink", below, CHANGES, 0, "", 0, REAL(unlink)(path));
}

int mkdir(const char *path, mode_t mode) {
  char below[PATH_MAX];
  if (!names_ours(path, below)) return REAL(mkdir)(path, mode);
  CHANGE("mkdir", below, ALLOCATES, 0, "", 0, REAL(mkdir)(path, mode));
}

// Only what creates or empties a file changes anything.
static int opened(const char *path, int flags, mode_t mode) {
  char below[PATH_MAX];
  int is_there = !access(path, F_OK);
  if (!(flags & O_CREAT && !is_there) && !(flags & O_TRUNC && is_there)) return REAL(open64)(path, flags, mode);
  if (!names_ours(path, below)) return REAL(open64)(path, flags, mode);
  CHANGE(is_there ? "truncate" : "create", below, ALLOCATES, 0, "", 0, REAL(open64)(path, flags, mode));
}

#define OPEN(NAME)                                   \
  int NAME(const char *path, int flags, ...) {       \
    va_list rest;                                    \
    va_start(rest, flags);                           \
    mode_t mode = va_arg(rest, mode_t);              \
    va_end(rest);                                    \
    return opened(path, flags, mode);                \
  }
OPEN(open)
OPEN(open64)

int connect(int fd, const struct sockaddr *to, socklen_t size) {
  if (!is_network(fd)) return REAL(connect)(fd, to, size);
  // One that does not block says EINPROGRESS: that is no failure.
  int failed = enter("connect", "-", SENDS), result = REAL(connect)(fd, to, size);
  failed = result < 0 ? errno : 0;
  leave("connect", "-", 0, "", 0);
  done(failed);
  return result;
}

ssize_t send(int fd, const void *data, size_t length, int flags) {
  if (!is_network(fd)) return REAL(send)(fd, data, length, flags);
  CHANGE("send", "-", SENDS, 0, "", 0, REAL(send)(fd, data, length, flags));
}
ssize_t sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
  if (!is_network(fd)) return REAL(sendto)(fd, data, length, flags, to, size);
  CHANGE("send", "-", SENDS, 0, "", 0, REAL(sendto)(fd, data, length, flags, to, size));
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  if (!is_network(fd)) return REAL(sendmsg)(fd, message, flags);
  CHANGE("send", "-", SENDS, 0, "", 0, REAL(sendmsg)(fd, message, flags));
}
