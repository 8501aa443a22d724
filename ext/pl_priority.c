#if !defined(_WIN32)
#define _GNU_SOURCE
#endif
#include "pl_priority.h"

#include <errno.h>

#if defined(_WIN32)

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

/* Windows calls a priority of 16 and more real-time; MMCSS gives "Pro Audio" 23 to 26. */
enum { BASIC_INFORMATION = 0, FIRST_REAL_TIME = 16 };

/* THREAD_BASIC_INFORMATION. */
typedef struct {
    LONG exit_status;
    void *environment, *process_id, *thread_id;
    ULONG_PTR affinity;
    LONG priority;      /* at this moment */
    LONG above_process; /* that of GetThreadPriority, which does not show whether the sum is real-time */
} basic_information;

typedef LONG(WINAPI *query_function)(HANDLE thread, int kind, void *information, ULONG bytes, ULONG *used);

uint64_t pl_thread_handle_rt(void) { return GetCurrentThreadId(); }

int64_t pl_thread_id(uint64_t handle) { return (int64_t)handle; }

pl_priority pl_thread_priority(int64_t id) {
    HMODULE module = GetModuleHandleA("ntdll.dll");
    void *found_query = module ? (void *)GetProcAddress(module, "NtQueryInformationThread") : NULL;
    query_function query = (query_function)found_query;
    HANDLE thread = query ? OpenThread(THREAD_QUERY_INFORMATION, FALSE, (DWORD)id) : NULL;
    if (!thread) return PL_PRIORITY_UNKNOWN;
    basic_information found;
    LONG result = query(thread, BASIC_INFORMATION, &found, sizeof found, NULL);
    CloseHandle(thread);
    if (result < 0) return PL_PRIORITY_UNKNOWN;
    if (found.priority >= FIRST_REAL_TIME) return PL_PRIORITY_REAL_TIME;
    return found.above_process > 0 ? PL_PRIORITY_RAISED : PL_PRIORITY_NORMAL;
}

int pl_thread_make_real_time(int64_t id, int level) {
    (void)id;
    (void)level;
    return ENOSYS; /* MMCSS raises only the thread that calls it: miniaudio's thread does that itself */
}

#elif defined(__linux__)

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* <linux/sched.h>; the C library leaves some of them out. */
enum { DEADLINE = 6, RESET_ON_FORK = 0x40000000 };

uint64_t pl_thread_handle_rt(void) { return (uint64_t)(uintptr_t)pthread_self(); }

/* The number of the clock of a thread's processor time contains the thread's own number: ~id in the bits
 * above the third (CPUCLOCK_PID of linux/posix-timers.h, which the C library has to know). */
int64_t pl_thread_id(uint64_t handle) {
    clockid_t clock;
    if (!handle || pthread_getcpuclockid((pthread_t)(uintptr_t)handle, &clock)) return 0;
    int32_t id = ~((int32_t)clock >> 3);
    return id > 0 ? id : 0;
}

/* By system calls, because the functions of some C libraries accept whole processes only. */
pl_priority pl_thread_priority(int64_t id) {
    long policy = id > 0 ? syscall(SYS_sched_getscheduler, (pid_t)id) : -1;
    if (policy < 0) return PL_PRIORITY_UNKNOWN;
    policy &= ~(long)RESET_ON_FORK;
    if (policy == SCHED_FIFO || policy == SCHED_RR || policy == DEADLINE) return PL_PRIORITY_REAL_TIME;
    errno = 0;
    int nice = getpriority(PRIO_PROCESS, (id_t)id);
    if (errno) return PL_PRIORITY_UNKNOWN;
    return nice < 0 ? PL_PRIORITY_RAISED : PL_PRIORITY_NORMAL;
}

int pl_thread_make_real_time(int64_t id, int level) {
    struct sched_param wanted;
    wanted.sched_priority = level;
    return syscall(SYS_sched_setscheduler, (pid_t)id, SCHED_FIFO | RESET_ON_FORK, &wanted) ? errno : 0;
}

#elif defined(__APPLE__)

#include <mach/mach.h>
#include <pthread.h>

/* The kernel's name of the thread. It is read from the thread itself, and needs no release. */
uint64_t pl_thread_handle_rt(void) { return pthread_mach_thread_np(pthread_self()); }

int64_t pl_thread_id(uint64_t handle) { return (int64_t)handle; }

pl_priority pl_thread_priority(int64_t id) {
    thread_time_constraint_policy_data_t constraint;
    thread_precedence_policy_data_t precedence;
    mach_msg_type_number_t count = THREAD_TIME_CONSTRAINT_POLICY_COUNT;
    boolean_t standard = FALSE; /* becomes TRUE where the thread never had such a policy */
    kern_return_t error = thread_policy_get((thread_act_t)id, THREAD_TIME_CONSTRAINT_POLICY,
                                            (thread_policy_t)&constraint, &count, &standard);
    if (error) return PL_PRIORITY_UNKNOWN;
    if (!standard) return PL_PRIORITY_REAL_TIME;
    count = THREAD_PRECEDENCE_POLICY_COUNT;
    standard = FALSE;
    error = thread_policy_get((thread_act_t)id, THREAD_PRECEDENCE_POLICY, (thread_policy_t)&precedence,
                              &count, &standard);
    if (error) return PL_PRIORITY_UNKNOWN;
    return !standard && precedence.importance > 0 ? PL_PRIORITY_RAISED : PL_PRIORITY_NORMAL;
}

int pl_thread_make_real_time(int64_t id, int level) {
    (void)id;
    (void)level;
    return ENOSYS;
}

#else

uint64_t pl_thread_handle_rt(void) { return 1; }

int64_t pl_thread_id(uint64_t handle) {
    (void)handle;
    return 0;
}

pl_priority pl_thread_priority(int64_t id) {
    (void)id;
    return PL_PRIORITY_UNKNOWN;
}

int pl_thread_make_real_time(int64_t id, int level) {
    (void)id;
    (void)level;
    return ENOSYS;
}

#endif
