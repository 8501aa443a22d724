/* A preloaded recvmsg and poll. The environment variable UDP_SHIM selects what they do: "refused" fails once,
 * as after a firewall rejected a ping; "flood" always returns a packet; "down" fails in each thread until the
 * thread sleeps, as while the network card is off; "closed" always fails, poll too, as WSAPoll does for a
 * closed socket. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef ssize_t recvmsg_fn(int fd, struct msghdr *message, int flags);
typedef int poll_fn(struct pollfd *fds, nfds_t count, int timeout_ms);

/* A thread that has failed this often without a sleep is in a busy loop. */
enum { MAX_FAILURES = 10000 };
static __thread int failures;
static __thread int slept;

static int is(const char *what) { return !strcmp(getenv("UDP_SHIM"), what); }

static int fail(int error) {
    errno = error;
    if (++failures > MAX_FAILURES) abort();
    return -1;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    if (is("flood")) {
        *(char *)message->msg_iov->iov_base = 0;
        message->msg_controllen = 0;
        return 1;
    }
    if (is("refused") && !failures) return fail(EACCES);
    if (is("down") && !slept) return fail(ENETDOWN);
    if (is("closed")) return fail(EBADF);
    return ((recvmsg_fn *)dlsym(RTLD_NEXT, "recvmsg"))(fd, message, flags);
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    if (count == 1 && timeout_ms) slept = 1;
    if (count == 2 && is("closed")) return fail(EBADF);
    if (count == 2 && is("down") && !slept) {
        fds->revents = POLLERR;
        return 1;
    }
    return ((poll_fn *)dlsym(RTLD_NEXT, "poll"))(fds, count, timeout_ms);
}
