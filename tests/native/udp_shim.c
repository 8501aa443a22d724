/* A preloaded recvmsg. The environment variable UDP_SHIM selects what it does: "refused" fails once, as after
 * a firewall rejected a ping; "flood" always returns a packet. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef ssize_t recvmsg_fn(int fd, struct msghdr *message, int flags);

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    static int calls;
    const char *what = getenv("UDP_SHIM");
    if (!strcmp(what, "flood")) {
        *(char *)message->msg_iov->iov_base = 0;
        message->msg_controllen = 0;
        return 1;
    }
    if (!strcmp(what, "refused") && !calls++) {
        errno = EACCES;
        return -1;
    }
    return ((recvmsg_fn *)dlsym(RTLD_NEXT, "recvmsg"))(fd, message, flags);
}
