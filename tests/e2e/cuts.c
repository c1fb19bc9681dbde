/* Counts the durable steps of a program and cuts it at one of them: loaded with LD_PRELOAD.
 *
 *   CUT_AT=N      the step, counted from 1; 0 only counts
 *   CUT_HOW=kill  the process ends before the step (as if the power went)
 *           after the process ends after the step: it happened, and nobody was told
 *           full  the step fails with ENOSPC and is not done
 *           error the step is done and fails with EIO all the same
 *   CUT_COUNT=1   the number of steps is told on standard error when the process ends in order
 *
 * Only whoever changes the state has durable steps: not the supervisor of an import, not its workers.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int steps, keeper, failed;

__attribute__((constructor)) static void who(void) {
    char line[4096];
    int fd = open("/proc/self/cmdline", O_RDONLY), import = 0, supervised = 0, worker = 0;
    ssize_t length = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
    if (fd >= 0) close(fd);
    line[length > 0 ? length : 0] = 0;
    for (char *word = line; word < line + length; word += strlen(word) + 1) {
        import |= !strcmp(word, "import");
        supervised |= !strcmp(word, "--supervised");
        worker |= !strcmp(word, "worker");
    }
    keeper = !worker && (!import || supervised);
}

static int cut_here(void) {
    const char *at = getenv("CUT_AT");
    int now = __sync_add_and_fetch(&steps, 1);
    return at && atoi(at) == now;
}

static const char *how(void) {
    const char *how = getenv("CUT_HOW");
    return how ? how : "";
}

#define STEP(call)                                                             \
    if (!keeper || !cut_here()) return call;                                              \
    if (!strcmp(how(), "kill")) _exit(137);                                    \
    failed = 1;                                                                \
    if (!strcmp(how(), "full")) { errno = ENOSPC; return -1; }                 \
    { __typeof__(call) done = call; (void)done; }                              \
    if (!strcmp(how(), "after")) _exit(137);                                   \
    errno = EIO;                                                               \
    return -1;

#define REAL(name) (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int fsync(int fd) { STEP((REAL(fsync))(fd)) }
int fdatasync(int fd) { STEP((REAL(fdatasync))(fd)) }
int rename(const char *from, const char *to) { STEP((REAL(rename))(from, to)) }
int unlink(const char *path) { STEP((REAL(unlink))(path)) }
int mkdir(const char *path, mode_t mode) {
    int (*real)(const char *, mode_t) = dlsym(RTLD_NEXT, "mkdir");
    STEP(real(path, mode))
}
int ftruncate64(int fd, off_t size) {
    int (*real)(int, off_t) = dlsym(RTLD_NEXT, "ftruncate64");
    STEP(real(fd, size))
}
ssize_t write(int fd, const void *bytes, size_t size) {
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    if (fd <= 2) return real(fd, bytes, size);
    STEP(real(fd, bytes, size))
}
int open64(const char *path, int flags, ...) {
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list more;
        va_start(more, flags);
        mode = va_arg(more, mode_t);
        va_end(more);
        STEP(real(path, flags, mode))
    }
    return real(path, flags, mode);
}

__attribute__((destructor)) static void tell(void) {
    if (getenv("CUT_COUNT") && steps) fprintf(stderr, "durable steps: %d\n", steps);
    if (failed) fprintf(stderr, "a durable step failed\n");
}
