/* Preloaded into the process of rt_driver.py: inside rt_call(), the first allocation, lock or system call of
 * the calling thread ends the process with status 99 and one line "forbidden: NAME" on standard error.
 * Reading the clock is allowed, and gives the time that rt_call() was called with.
 *
 * Two methods: functions of the C library are replaced here; and on kernels that have it, syscall user
 * dispatch catches all system calls, also those made in other ways. GNU/Linux only. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
enum { ALLOW, BLOCK };

#define THREAD static __thread __attribute__((tls_model("initial-exec")))
THREAD volatile int in_callback;
THREAD volatile char gate;
THREAD int dispatching;
THREAD int64_t callback_ns;

static _Noreturn void forbidden(const char *name) {
    gate = ALLOW;
    in_callback = 0;
    (void)!write(2, "forbidden: ", 11);
    (void)!write(2, name, strlen(name));
    (void)!write(2, "\n", 1);
    _exit(99);
}

static void guard(const char *name) {
    if (in_callback) forbidden(name);
}

/* Memory: the C library's own names of these functions need no look-up, which would itself allocate. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

void *malloc(size_t size) {
    guard("malloc");
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    guard("calloc");
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    guard("realloc");
    return __libc_realloc(block, size);
}

void *memalign(size_t align, size_t size) {
    guard("memalign");
    return __libc_memalign(align, size);
}

void *aligned_alloc(size_t align, size_t size) {
    guard("aligned_alloc");
    return __libc_memalign(align, size);
}

void free(void *block) {
    guard("free");
    __libc_free(block);
}

int posix_memalign(void **block, size_t align, size_t size) {
    guard("posix_memalign");
    *block = __libc_memalign(align, size);
    return *block ? 0 : ENOMEM;
}

/* Locks and wrappers of system calls. Seven words are passed on, enough for all of these functions. */
typedef long words_t(long, long, long, long, long, long, long);

#define WRAP(name)                                                                                           \
    long wrapped_##name(long, long, long, long, long, long, long) __asm__(#name);                            \
    long wrapped_##name(long a, long b, long c, long d, long e, long f, long g) {                            \
        static words_t *real;                                                                                \
        guard(#name);                                                                                        \
        if (!real) real = (words_t *)dlsym(RTLD_NEXT, #name);                                                \
        return real(a, b, c, d, e, f, g);                                                                    \
    }
/* clang-format off */
WRAP(pthread_mutex_lock) WRAP(pthread_mutex_trylock) WRAP(pthread_mutex_unlock)
WRAP(pthread_rwlock_rdlock) WRAP(pthread_rwlock_wrlock) WRAP(pthread_spin_lock)
WRAP(pthread_cond_wait) WRAP(pthread_cond_timedwait) WRAP(pthread_cond_signal) WRAP(pthread_cond_broadcast)
WRAP(sem_wait) WRAP(sem_timedwait) WRAP(sem_post)
WRAP(read) WRAP(write) WRAP(open) WRAP(open64) WRAP(openat) WRAP(close)
WRAP(poll) WRAP(select) WRAP(epoll_wait)
WRAP(nanosleep) WRAP(clock_nanosleep) WRAP(usleep) WRAP(sched_yield)
WRAP(send) WRAP(sendto) WRAP(sendmsg) WRAP(recv) WRAP(recvfrom) WRAP(recvmsg)
WRAP(mmap) WRAP(mmap64) WRAP(munmap) WRAP(madvise) WRAP(brk) WRAP(sbrk) WRAP(syscall)
WRAP(puts) WRAP(fputs) WRAP(fwrite) WRAP(fflush)
/* clang-format on */

/* Reads the real clock. Where that enters the kernel, this one system call is allowed. */
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    char before = gate;
    gate = ALLOW;
    int result = real(id, now);
    gate = before;
    if (in_callback) {
        now->tv_sec = callback_ns / 1000000000;
        now->tv_nsec = callback_ns % 1000000000;
    }
    return result;
}

static void trapped(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    gate = ALLOW;
    char name[] = "system call 0000";
    for (int i = (int)sizeof name - 2, number = info->si_syscall; i > 11; i--, number /= 10)
        name[i] = (char)('0' + number % 10);
    forbidden(name);
}

/* Can all system calls of this thread be caught? Otherwise only those through the wrappers above are. */
int rt_catches_all(void) {
    if (!dispatching) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_sigaction = trapped;
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGSYS, &action, NULL);
        dispatching = prctl(PR_SET_SYSCALL_USER_DISPATCH, 1L, 0L, 0L, &gate) == 0 ? 1 : -1;
    }
    return dispatching > 0;
}

/* A miniaudio data callback. */
typedef void callback_t(void *device, void *output, const void *input, uint32_t frames);

void rt_call(callback_t *callback, void *device, void *output, uint32_t frames, int64_t now_ns) {
    rt_catches_all();
    callback_ns = now_ns;
    in_callback = 1;
    gate = BLOCK;
    callback(device, output, NULL, frames);
    gate = ALLOW;
    in_callback = 0;
}

/* One callback that keeps the law, and some that break it, which must be caught. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int word;
static void *volatile sink;

#define PLANT(name, act)                                                                                     \
    void planted_##name(void *device, void *output, const void *input, uint32_t frames) {                    \
        (void)device, (void)output, (void)input, (void)frames;                                               \
        act;                                                                                                 \
    }
static struct timespec now;
PLANT(nothing, (clock_gettime(CLOCK_MONOTONIC, &now), memset(output, 0, frames)))
PLANT(malloc, sink = malloc(frames))
PLANT(free, free(sink))
PLANT(lock, pthread_mutex_lock(&mutex))
PLANT(write, (void)!write(1, "", 0))
PLANT(futex, syscall(SYS_futex, &word, 1, 0, NULL, NULL, 0))
PLANT(raw, raise(0))
