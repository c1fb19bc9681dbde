/* Hostile code inside a worker: loaded with LD_PRELOAD, it lets the program confine itself as it does
 * in earnest, and then, in the middle of its work, tries to get out. It tells on standard error what
 * became of each attempt, and goes on.
 *
 *   HOSTILE=escape       tries to get out, at the first answer, durable step or response
 *   HOSTILE=frames       the reader's and the examiner's answers are no frames
 *   HOSTILE=more         they hand over more than was asked for
 *   HOSTILE=lies         they hand over other bytes
 *   HOSTILE=silent       they end before they have answered
 *   HOSTILE=dies         they crash in the middle of an answer
 *   HOSTILE=stays        they answer no more, and do not end
 *   HOSTILE=waits        the same, and they are waited for
 *   HOSTILE=drips        they answer without end, and say nothing
 *   HOSTILE=leaves       they leave more in their pipes than was asked for, and other flags
 *   HOSTILE=speaks       they write to standard error what would move a cursor, and much of it
 *   HOSTILE=tells        they tell which process answers
 *   HOSTILE_ONCE=PATH    only the first process of the role, which makes this file
 *   HOSTILE_ROLE=NAME    which of them: reader, examiner, keeper, server, sinkhole, post, review, exporter
 *   MISSING=landlock     the kernel does not know that layer
 *           seccomp
 *           both
 *   FAKE_FROM=PATH       only once that file is there
 *   FAKE=landlock        the kernel says that it took that layer, and did not
 *        seccomp
 *   HOSTILE_PORT, HOSTILE_FILE   where to connect to, what to read
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *role = "";
static int tried;
static int port;
static char file[512], medium[512];

static void escape(void);

static void strike(int signal) {
    (void)signal;
    escape();
}

__attribute__((constructor)) static void who(void) {
    char line[4096];
    int fd = open("/proc/self/cmdline", O_RDONLY), supervised = 0, piped = 0;
    ssize_t length = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
    if (fd >= 0) close(fd);
    line[length > 0 ? length : 0] = 0;
    const char *command = "";
    for (char *word = line; word < line + length; word += strlen(word) + 1) {
        if (!strcmp(word, "reader") || !strcmp(word, "examiner")) role = word[0] == 'r' ? "reader" : "examiner";
        if (!strcmp(word, "post")) role = "post";
        if (!strcmp(word, "sinkhole")) command = "sinkhole";
        if (!strcmp(word, "serve")) command = "server";
        if (!strcmp(word, "review")) role = "review";
        if (!strcmp(word, "export")) role = "exporter";
        if (!strcmp(word, "import")) command = "import";
        if (!strcmp(word, "attempt") || !strcmp(word, "wait")) return;
        supervised |= !strcmp(word, "--supervised");
        piped |= !strcmp(word, "--pipes");
    }
    // Its supervisor has the same word, and no sockets.
    if (!strcmp(command, "sinkhole") && piped) role = "sinkhole";
    const char *once = getenv("HOSTILE_ONCE"), *wanted = getenv("HOSTILE_ROLE");
    if (once && wanted && !strcmp(role, wanted)) {
        int first = open(once, O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (first < 0) role = "";
        else close(first);
    }
    if (!*role && !strcmp(command, "server")) role = "server";
    if (!*role && !strcmp(command, "import") && supervised) role = "keeper";
    if (!strcmp(role, "post")) {
        // It calls no library once it is confined: a timer, set before, brings us back.
        struct itimerval once = { .it_value = { .tv_sec = 1 } };
        signal(SIGALRM, strike);
        setitimer(ITIMER_REAL, &once, NULL);
    }
    port = getenv("HOSTILE_PORT") ? atoi(getenv("HOSTILE_PORT")) : 0;
    snprintf(file, sizeof file, "%s", getenv("HOSTILE_FILE") ? getenv("HOSTILE_FILE") : "/etc/passwd");
}

static int mine(const char *how) {
    const char *wanted = getenv("HOSTILE_ROLE"), *what = getenv("HOSTILE");
    return wanted && what && !strcmp(wanted, role) && !strcmp(what, how);
}

static void tell(const char *what, long done) {
    char line[200];
    int error = errno, length =
        snprintf(line, sizeof line, "hostile %s: %s: %s\n", role, what, done < 0 ? strerror(error) : "SUCCEEDED");
    syscall(SYS_write, 2, line, length);
}

static void escape(void) {
    if (!mine("escape") || tried++) return;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    tell("socket tcp", syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
    tell("socket udp", syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0));
    tell("socket unix", syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
    for (int fd = 0; fd < 24; fd++) {
        errno = EBADF;
        long done = syscall(SYS_connect, fd, &to, sizeof to);
        if (done == 0 || errno != EPERM) { tell("connect", done); break; }
        done = syscall(SYS_sendto, fd, "x", 1, 0, &to, sizeof to);
        if (done >= 0 || errno != EPERM) { tell("sendto", done); break; }
    }
    tell("open a file", syscall(SYS_openat, AT_FDCWD, file, O_RDONLY));
    tell("open for writing", syscall(SYS_openat, AT_FDCWD, "/tmp/gaprelay-hostile", O_WRONLY | O_CREAT, 0600));
    tell("execve", syscall(SYS_execve, "/bin/true", NULL, NULL));
    tell("fork", syscall(SYS_clone, 17, 0, 0, 0, 0));
    tell("ptrace", syscall(SYS_ptrace, PTRACE_ATTACH, getppid(), 0, 0));
    tell("memfd", syscall(SYS_memfd_create, "x", 0));
    tell("mmap code", syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) < 0 ? -1 : 0);
    // The one descriptor that it may append to: to take back what stands there, or to keep others from it.
    for (int fd = 3; fd < 24 && strcmp(role, "keeper"); fd++) {
        long flags = syscall(SYS_fcntl, fd, F_GETFL);
        if (flags < 0 || !(flags & O_APPEND)) continue;
        char byte = 'x';
        struct iovec over = { &byte, 1 };
        struct flock all = { .l_type = F_WRLCK };
        tell("append mode taken off", syscall(SYS_fcntl, fd, F_SETFL, 0));
        tell("written over", syscall(SYS_pwritev2, fd, &over, 1, 0, 0, 0x20));
        tell("cut", syscall(SYS_ftruncate, fd, 0));
        tell("hole", syscall(SYS_fallocate, fd, 3, 0, 4));
        tell("locked", syscall(SYS_flock, fd, LOCK_EX | LOCK_NB));
        tell("locked in part", syscall(SYS_fcntl, fd, F_SETLK, &all));
        break;
    }
    errno = EPERM;
    tell("end", -1);
}

#define REAL(name) (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t size) {
    struct stat what;
    // Into a pipe: what it writes to the kernel while it confines itself is no answer.
    int answer = fd > 2 && (!strcmp(role, "reader") || !strcmp(role, "examiner")) && !syscall(SYS_fstat, fd, &what) && S_ISFIFO(what.st_mode);
    if (answer || (fd == 1 && !strcmp(role, "exporter"))) escape();
    if (answer && size > 0 && mine("silent")) _exit(0);
    if (answer && size > 0 && mine("dies")) {
        (REAL(write))(fd, bytes, size / 2);
        __builtin_trap();
    }
    if (answer && size > 0 && mine("stays")) {
        // Not in its turn, so that it is not waited for.
        static char frame[5 + 8] = { 'M', 8, 0, 0, 0, '"', 'i', 't', 'e', 'm', 's', '"', ' ' };
        for (int i = 0; i < 2; i++) (REAL(write))(fd, frame, sizeof frame);
        static int never;
        for (;;) syscall(SYS_futex, &never, 0, 0, NULL);
    }
    if (answer && size > 0 && mine("waits")) {
        static int never;
        for (;;) syscall(SYS_futex, &never, 0, 0, NULL);
    }
    if (answer && size > 0 && mine("drips")) {
        static const char empty[5] = { 'B', 0, 0, 0, 0 };
        for (;;) if ((REAL(write))(fd, empty, sizeof empty) < 0) return -1;
    }
    if (answer && size > 5 && mine("leaves") && !memcmp((const char *)bytes + size - 6, "\"done\"", 6)) {
        ssize_t done = (REAL(write))(fd, bytes, size);
        static const char more[] = "M\6\0\0\0\"done\"M\6\0\0\0\"done\"no frame";
        // More than the keeper reads ahead, so that some of it is in the pipe when the next one comes.
        for (int i = 0; i < 5000; i++) (REAL(write))(fd, more, sizeof more);
        for (int end = 0; end < 2; end++) fcntl(end, F_SETFL, O_NONBLOCK | O_DIRECT);
        return done;
    }
    if (answer && mine("speaks") && !tried++) {
        static const char words[] = "\033]0;owned\007\033[2J\033[1;1Hgaprelay: imported, all is well\n";
        for (int i = 0; i < 20000; i++) syscall(SYS_write, 2, words, sizeof words - 1);
    }
    if (answer && mine("tells") && !tried++) {
        char line[100];
        syscall(SYS_write, 2, line, snprintf(line, sizeof line, "hostile %s: process %d answers\n", role, getpid()));
    }
    if (answer && size > 0 && mine("frames")) return (REAL(write))(fd, "no frame", 8) == 8 ? (ssize_t)size : -1;
    if (answer && size > 0 && mine("more")) {
        static char frame[5 + 4096] = { 'B', 0, 0x10, 0, 0 };
        for (int i = 0; i < 1000; i++) if ((REAL(write))(fd, frame, sizeof frame) < 0) return -1;
    }
    if (answer && mine("lies") && size > 100) {
        char *other = malloc(size);
        memcpy(other, bytes, size);
        // Not the frames' heads, which are told apart by being small or at the beginning.
        other[size - 20] ^= 1;
        ssize_t done = (REAL(write))(fd, other, size);
        free(other);
        return done;
    }
    return (REAL(write))(fd, bytes, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!strcmp(role, "server") || !strcmp(role, "review")) escape();
    return (REAL(writev))(fd, parts, count);
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    if (!strcmp(role, "server") || !strcmp(role, "sinkhole") || !strcmp(role, "review")) escape();
    return (REAL(send))(fd, bytes, size, flags);
}

int fsync(int fd) {
    if (!strcmp(role, "keeper")) escape();
    return (REAL(fsync))(fd);
}

long syscall(long number, ...) {
    long (*real)(long, ...) = dlsym(RTLD_NEXT, "syscall");
    const char *missing = getenv("MISSING");
    va_list more;
    va_start(more, number);
    long a = va_arg(more, long), b = va_arg(more, long), c = va_arg(more, long), d = va_arg(more, long),
         e = va_arg(more, long), f = va_arg(more, long);
    va_end(more);
    int gone = missing && ((strcmp(missing, "seccomp") && number == SYS_landlock_create_ruleset) ||
                           (strcmp(missing, "landlock") && number == SYS_seccomp));
    if (gone) { errno = ENOSYS; return -1; }
    const char *fake = getenv("FAKE"), *from = getenv("FAKE_FROM");
    if (fake && from && access(from, F_OK)) fake = NULL;
    if (fake && !strcmp(fake, "landlock") && number == SYS_landlock_restrict_self) return 0;
    if (fake && !strcmp(fake, "seccomp") && number == SYS_seccomp) return 0;
    return real(number, a, b, c, d, e, f);
}
