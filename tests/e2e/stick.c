/* A medium that fails or lies: loaded with LD_PRELOAD, it stands between a program and its reads.
 *
 *   STICK=FOLDER     which files are on the medium: those below it
 *   STICK_FILE=NAME  the file that lies
 *   STICK_AT=N       from which byte on
 *   STICK_HOW=eio    the device is gone
 *             end    the file ends there
 *             flip   the byte is another one
 *             more   the file has one byte more than it said
 *   STICK_COUNT=F    where the number of bytes read off the medium is written at the end
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long total;
static int told;

static int on_medium(int fd, char *path, size_t size) {
    const char *stick = getenv("STICK");
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (!stick || length < 0) return 0;
    path[length] = 0;
    return !strncmp(path, stick, strlen(stick));
}

ssize_t read(int fd, void *bytes, size_t size) {
    ssize_t (*real)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
    char path[4096];
    if (fd <= 2 || !on_medium(fd, path, sizeof path)) return real(fd, bytes, size);
    const char *file = getenv("STICK_FILE"), *how = getenv("STICK_HOW");
    const char *name = strrchr(path, '/');
    int lies = file && how && name && !strcmp(name + 1, file);
    off_t at = lies ? atol(getenv("STICK_AT")) : 0, here = lseek(fd, 0, SEEK_CUR);
    if (lies && !strcmp(how, "eio") && here >= at) { errno = EIO; return -1; }
    if (lies && !strcmp(how, "end")) {
        if (here >= at) return 0;
        if (size > (size_t)(at - here)) size = at - here;
    }
    ssize_t got = real(fd, bytes, size);
    if (lies && !strcmp(how, "flip") && got > 0 && here <= at && at < here + got) ((char *)bytes)[at - here] ^= 1;
    if (lies && !strcmp(how, "more") && got == 0 && size > 0 && !told++) { *(char *)bytes = 'x'; got = 1; }
    if (got > 0) __sync_add_and_fetch(&total, got);
    return got;
}

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("STICK_COUNT");
    FILE *out = path ? fopen(path, "w") : NULL;
    if (!out) return;
    fprintf(out, "%ld\n", total);
    fclose(out);
}
