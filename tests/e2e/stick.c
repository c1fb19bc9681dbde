/* A medium that fails or lies: loaded with LD_PRELOAD, it stands between a program and its reads.
 *
 *   STICK=FOLDER     which files are on the medium: those below it
 *   STICK_FILE=NAME  the file that lies
 *   STICK_AT=N       from which byte on
 *   STICK_HOW=eio    the device is gone
 *             end    the file ends there
 *             flip   the byte is another one
 *             more   the file has one byte more than it said
 *   STICK_COUNT=1    the number of bytes read off the medium is told on standard error at the end
 *
 * Whoever reads a medium is confined by then: the files are told apart by what was there at the start.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static long total;
static int told;

static struct { dev_t device; ino_t inode; char name[256]; } seen[1000];
static int files;

static int note(const char *path, const struct stat *meta, int kind, struct FTW *place) {
    if (kind == FTW_F && files < 1000) {
        seen[files].device = meta->st_dev;
        seen[files].inode = meta->st_ino;
        snprintf(seen[files++].name, sizeof seen->name, "%s", path + place->base);
    }
    return 0;
}

__attribute__((constructor)) static void look(void) {
    const char *stick = getenv("STICK");
    if (stick) nftw(stick, note, 16, FTW_PHYS);
}

static const char *on_medium(int fd) {
    struct stat meta;
    if (fstat(fd, &meta)) return NULL;
    for (int i = 0; i < files; i++)
        if (seen[i].device == meta.st_dev && seen[i].inode == meta.st_ino) return seen[i].name;
    return NULL;
}

ssize_t read(int fd, void *bytes, size_t size) {
    ssize_t (*real)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
    const char *name = fd <= 2 ? NULL : on_medium(fd);
    if (!name) return real(fd, bytes, size);
    const char *file = getenv("STICK_FILE"), *how = getenv("STICK_HOW");
    int lies = file && how && !strcmp(name, file);
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
    if (getenv("STICK_COUNT") && total) fprintf(stderr, "read off the medium: %ld\n", total);
}
