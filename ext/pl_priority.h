/* The scheduling of the audio thread: which thread it is, what priority it has, and a request for more.
 *
 * The callback only stores a handle, which costs no system call; the rest is for other threads. */
#ifndef PL_PRIORITY_H
#define PL_PRIORITY_H

#include <stdint.h>

/* Raised: before ordinary threads, but not real-time. */
typedef enum {
    PL_PRIORITY_UNKNOWN,
    PL_PRIORITY_NORMAL,
    PL_PRIORITY_RAISED,
    PL_PRIORITY_REAL_TIME,
} pl_priority;

/* A handle of the calling thread, never 0. */
uint64_t pl_thread_handle_rt(void);

/* The system's number of a thread, by its handle; 0 where there is none. The thread may have ended, but must
 * not have been joined. */
int64_t pl_thread_id(uint64_t handle);

/* The priority of the thread of this number; unknown where there is no such thread. */
pl_priority pl_thread_priority(int64_t id);

/* Ask the system for real-time scheduling of a thread at `level` (1 to 99), which children of the thread do
 * not inherit. Returns 0 or the error. Linux only, elsewhere ENOSYS: there the sound system sets the priority
 * of its threads. */
int pl_thread_make_real_time(int64_t id, int level);

#endif
