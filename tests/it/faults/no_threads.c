/* A system that refuses threads: loaded before the C library, this refuses a process more of them than
   THREADS_ALLOWED says, as a limit of processes would. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static atomic_long made;

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*work)(void *), void *given) {
    const char *allowed = getenv("THREADS_ALLOWED");
    if (allowed && atomic_fetch_add(&made, 1) >= atol(allowed))
        return EAGAIN;
    return ((__typeof__(&pthread_create))dlsym(RTLD_NEXT, "pthread_create"))(thread, how, work, given);
}
