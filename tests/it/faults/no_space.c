/* A disk that is full: loaded before the C library, this fails the n-th operation on a file that would take
   space (FAULT_AT=n) with ENOSPC, and all that follow unless FAULT_ONCE is set. Without FAULT_AT it counts;
   at the end the number of operations is left in the file that FAULT_COUNT names. Removing always works, as
   on a full disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long operations;
static long at;
static int once;

__attribute__((constructor)) static void begin(void) {
    const char *number = getenv("FAULT_AT");
    at = number ? atol(number) : 0;
    once = getenv("FAULT_ONCE") != NULL;
}

/* Whether this operation fails. */
static int fails(void) {
    long number = atomic_fetch_add(&operations, 1) + 1;
    if (at == 0 || number < at || (once && number > at))
        return 0;
    errno = ENOSPC;
    return 1;
}

static int is_file(int fd) {
    struct stat facts;
    return fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t length) {
    return is_file(fd) && fails() ? -1 : NEXT(write)(fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return is_file(fd) && fails() ? -1 : NEXT(writev)(fd, parts, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    return is_file(fd) && fails() ? -1 : NEXT(pwrite64)(fd, bytes, length, offset);
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t length, unsigned flags) {
    return fails() ? -1 : NEXT(copy_file_range)(in, from, out, to, length, flags);
}

int fsync(int fd) { return fails() ? -1 : NEXT(fsync)(fd); }
int fdatasync(int fd) { return fails() ? -1 : NEXT(fdatasync)(fd); }
int ftruncate64(int fd, off64_t length) { return fails() ? -1 : NEXT(ftruncate64)(fd, length); }
int rename(const char *from, const char *to) { return fails() ? -1 : NEXT(rename)(from, to); }
int mkdir(const char *path, mode_t mode) { return fails() ? -1 : NEXT(mkdir)(path, mode); }

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return flags & O_CREAT && fails() ? -1 : NEXT(open64)(path, flags, mode);
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("FAULT_COUNT");
    long number = atomic_load(&operations);
    at = 0;
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file) {
        fprintf(file, "%ld", number);
        fclose(file);
    }
}
