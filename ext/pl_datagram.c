#if defined(__linux__)
#define _GNU_SOURCE
#elif defined(__APPLE__)
#define _DARWIN_C_SOURCE
#define __APPLE_USE_RFC_3542 /* for IPV6_RECVPKTINFO */
#endif
#include "pl_datagram.h"

#include <errno.h>
#include <string.h>

#include "pl_clock.h"

#if defined(_WIN32)
#include <mswsock.h>
typedef SOCKET socket_t;
typedef WSAPOLLFD pollfd_t;
#define poll_sockets WSAPoll
#else
#include <poll.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
typedef int socket_t;
typedef struct pollfd pollfd_t;
#define poll_sockets poll
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#if defined(_WIN32)
int pl_datagram_error(void) { return WSAGetLastError(); }
#else
int pl_datagram_error(void) { return errno; }
#endif

/* Is the error temporary? Routers, firewalls and a network card that is off cause errors of many kinds, and
 * later the socket works again. Only a socket that is not usable at all stays so. */
static bool is_temporary(int error) {
    switch (error) {
#if defined(_WIN32)
        case WSAEBADF:
        case WSAEFAULT:
        case WSAEINVAL:
        case WSAENOTSOCK:
        case WSAENOTCONN:
        case WSAESHUTDOWN:
        case WSANOTINITIALISED:
        case WSA_INVALID_HANDLE:
#else
        case EBADF:
        case EFAULT:
        case EINVAL:
        case ENOTSOCK:
        case ENOTCONN:
#endif
            return false;
        default:
            return true;
    }
}

/* ---- addresses ---- */

static void set_ipv4(pl_address *address, const void *four_bytes) {
    memset(address->bytes, 0, 10);
    address->bytes[10] = address->bytes[11] = 0xff;
    memcpy(address->bytes + 12, four_bytes, 4);
}

static bool is_ipv4(const pl_address *address) {
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address->bytes, prefix, sizeof prefix) == 0;
}

#if !defined(__linux__)
static bool is_link_local(const pl_address *address) {
    return address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}
#endif

pl_address pl_datagram_address(const struct sockaddr_storage *s) {
    pl_address address = {{0}};
    if (s->ss_family == AF_INET6) {
        memcpy(address.bytes, &((const struct sockaddr_in6 *)s)->sin6_addr, PL_ADDRESS_BYTES);
    } else if (s->ss_family == AF_INET) {
        set_ipv4(&address, &((const struct sockaddr_in *)s)->sin_addr);
    }
    return address;
}

static int size_of(const struct sockaddr_storage *s) {
    return s->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static void set_option(intptr_t fd, int level, int name) {
    int on = 1;
    setsockopt((socket_t)fd, level, name, (const char *)&on, sizeof on);
}

void pl_datagram_request_stamps(intptr_t fd) {
#if defined(__linux__)
    set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS);
#else
    (void)fd;
#endif
}

/* An option that this socket does not have fails without an effect. A socket for both families needs both on
 * Windows; on other systems that of IPv6 is enough. */
void pl_datagram_request_destinations(intptr_t fd) {
    set_option(fd, IPPROTO_IP, IP_PKTINFO);
#if defined(_WIN32)
    set_option(fd, IPPROTO_IPV6, IPV6_PKTINFO);
#else
    set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
#endif
}

/* Take the destination from a control message, if it is one. */
static void read_destination(pl_datagram *d, int level, int type, const void *data) {
    if (level == IPPROTO_IP && type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, data, sizeof info);
        set_ipv4(&d->to, &info.ipi_addr);
        d->card = (uint32_t)info.ipi_ifindex;
        d->is_to_known = true;
    } else if (level == IPPROTO_IPV6 && type == IPV6_PKTINFO) {
        struct in6_pktinfo info;
        memcpy(&info, data, sizeof info);
        memcpy(d->to.bytes, &info.ipi6_addr, PL_ADDRESS_BYTES);
        d->card = (uint32_t)info.ipi6_ifindex;
        d->is_to_known = true;
    }
}

/* The control message that sends from the address `d->to` and, if `card` is not 0, on that card. */
typedef struct {
    int level, type;
    size_t size;
    union {
        struct in_pktinfo ipv4;
        struct in6_pktinfo ipv6;
    } info;
} source;

static source source_of(const pl_datagram *d, uint32_t card) {
    source s;
    memset(&s, 0, sizeof s);
    if (is_ipv4(&d->to)) {
        s.level = IPPROTO_IP;
        s.type = IP_PKTINFO;
        s.size = sizeof s.info.ipv4;
#if defined(_WIN32)
        memcpy(&s.info.ipv4.ipi_addr, d->to.bytes + 12, 4);
        s.info.ipv4.ipi_ifindex = card;
#else
        memcpy(&s.info.ipv4.ipi_spec_dst, d->to.bytes + 12, 4);
        s.info.ipv4.ipi_ifindex = (int)card;
#endif
    } else {
        s.level = IPPROTO_IPV6;
        s.type = IPV6_PKTINFO;
        s.size = sizeof s.info.ipv6;
        memcpy(&s.info.ipv6.ipi6_addr, d->to.bytes, PL_ADDRESS_BYTES);
        s.info.ipv6.ipi6_ifindex = card;
    }
    return s;
}

/* ---- receive and send ---- */

/* A datagram that is sent: see pl_datagram_answer. */
typedef struct {
    uint8_t *b;
    int size;
    pl_datagram_complete *complete;
    const void *context;
} outgoing;

#if defined(_WIN32)
/* Room for control messages, aligned for their headers. */
typedef union {
    WSACMSGHDR align;
    char room[256];
} control_room;

static LPFN_WSARECVMSG receive_function(intptr_t fd) {
    static LPFN_WSARECVMSG found;
    GUID id = WSAID_WSARECVMSG;
    DWORD bytes;
    if (!found && WSAIoctl((SOCKET)fd, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, &found,
                           sizeof found, &bytes, NULL, NULL))
        found = NULL;
    return found;
}

static int receive(intptr_t fd, uint8_t *b, int size, pl_datagram *d) {
    control_room control;
    WSABUF part = {.buf = (char *)b, .len = (ULONG)size};
    WSAMSG message = {0};
    message.name = (struct sockaddr *)&d->from;
    message.namelen = sizeof d->from;
    message.lpBuffers = &part;
    message.dwBufferCount = 1;
    message.Control.buf = control.room;
    message.Control.len = sizeof control.room;
    LPFN_WSARECVMSG receive_message = receive_function(fd);
    DWORD n = 0;
    if (!receive_message) {
        int from_size = sizeof d->from;
        int count = recvfrom((SOCKET)fd, (char *)b, size, 0, (struct sockaddr *)&d->from, &from_size);
        return count < 0 && WSAGetLastError() == WSAEMSGSIZE ? size : count;
    }
    if (receive_message((SOCKET)fd, &message, &n, NULL, NULL))
        return WSAGetLastError() == WSAEMSGSIZE ? size : -1;
    for (WSACMSGHDR *c = WSA_CMSG_FIRSTHDR(&message); c; c = WSA_CMSG_NXTHDR(&message, c))
        read_destination(d, c->cmsg_level, c->cmsg_type, WSA_CMSG_DATA(c));
    return (int)n;
}

static bool send_from(intptr_t fd, const outgoing *out, const pl_datagram *d, uint32_t card) {
    source s = source_of(d, card);
    control_room control;
    WSABUF part = {.buf = (char *)out->b, .len = (ULONG)out->size};
    WSAMSG message = {0};
    message.name = (struct sockaddr *)(uintptr_t)&d->from;
    message.namelen = size_of(&d->from);
    message.lpBuffers = &part;
    message.dwBufferCount = 1;
    message.Control.buf = control.room;
    message.Control.len = (ULONG)WSA_CMSG_SPACE(s.size);
    memset(&control, 0, sizeof control);
    WSACMSGHDR *c = WSA_CMSG_FIRSTHDR(&message);
    c->cmsg_level = s.level;
    c->cmsg_type = s.type;
    c->cmsg_len = WSA_CMSG_LEN(s.size);
    memcpy(WSA_CMSG_DATA(c), &s.info, s.size);
    DWORD sent;
    out->complete(out->b, out->context);
    return !WSASendMsg((SOCKET)fd, &message, 0, &sent, NULL, NULL);
}
#else
typedef union {
    struct cmsghdr align;
    char room[256];
} control_room;

#if defined(__linux__)
/* Kernel time stamps of this age are not believed. */
static const int64_t MAX_STAMP_AGE_NS = 2 * PL_NS_PER_S;

/* The local time at which the kernel received a message, or `now_ns` if the stamp is impossible. */
static int64_t stamped_ns(const struct timespec *stamp, int64_t now_ns) {
    /* The stamp is on the kernel's real-time clock, so the packet's age is read on that clock: by the
     * system call, because a preloaded library may change clock_gettime but not the kernel's stamps. An
     * impossible age means that the clock was set meanwhile. */
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    int64_t local_ns = pl_now_ns_rt();
    int64_t age_ns = (int64_t)(now.tv_sec - stamp->tv_sec) * PL_NS_PER_S + (now.tv_nsec - stamp->tv_nsec);
    return age_ns >= 0 && age_ns < MAX_STAMP_AGE_NS ? local_ns - age_ns : now_ns;
}
#endif

/* The macro of musl compares a size with a difference of pointers, which is never negative. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
static struct cmsghdr *next_control(struct msghdr *message, struct cmsghdr *c) {
    return CMSG_NXTHDR(message, c);
}
#pragma GCC diagnostic pop

static int receive(intptr_t fd, uint8_t *b, int size, pl_datagram *d) {
    control_room control;
    struct iovec part = {.iov_base = b, .iov_len = (size_t)size};
    struct msghdr message = {0};
    message.msg_name = &d->from;
    message.msg_namelen = sizeof d->from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.room;
    message.msg_controllen = sizeof control.room;
    ssize_t n = recvmsg((int)fd, &message, MSG_DONTWAIT);
    if (n <= 0) return (int)n;
    d->arrived_ns = pl_now_ns_rt();
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = next_control(&message, c)) {
#if defined(__linux__)
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec stamp;
            memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
            d->arrived_ns = stamped_ns(&stamp, d->arrived_ns);
        }
#endif
        read_destination(d, c->cmsg_level, c->cmsg_type, CMSG_DATA(c));
    }
    return (int)n;
}

static bool send_from(intptr_t fd, const outgoing *out, const pl_datagram *d, uint32_t card) {
    source s = source_of(d, card);
    control_room control;
    struct iovec part = {.iov_base = out->b, .iov_len = (size_t)out->size};
    struct msghdr message = {0};
    message.msg_name = (void *)(uintptr_t)&d->from;
    message.msg_namelen = (socklen_t)size_of(&d->from);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.room;
    message.msg_controllen = CMSG_SPACE(s.size);
    memset(&control, 0, sizeof control);
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = s.level;
    c->cmsg_type = s.type;
    c->cmsg_len = CMSG_LEN(s.size);
    memcpy(CMSG_DATA(c), &s.info, s.size);
    out->complete(out->b, out->context);
    return sendmsg((int)fd, &message, 0) >= 0;
}
#endif

int pl_datagram_receive(intptr_t fd, uint8_t *b, int size, pl_datagram *d) {
    memset(d, 0, sizeof *d);
    int n = receive(fd, b, size, d);
    if (!d->arrived_ns) d->arrived_ns = pl_now_ns_rt();
    if (n < 0) return is_temporary(pl_datagram_error()) ? 0 : -1;
    return n ? n : size; /* an empty datagram is no end of the queue, and as wrong as one that is too long */
}

bool pl_datagram_is_neighbour(const pl_address *address) {
#if defined(__linux__)
    if (!is_ipv4(address)) return true;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    memcpy(&to.sin_addr, address->bytes + 12, 4);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0) return false;
    /* Sends nothing, and fails if the route leads through a router. */
    bool found = !setsockopt(fd, SOL_SOCKET, SO_DONTROUTE, &on, sizeof on) &&
                 !connect(fd, (const struct sockaddr *)&to, sizeof to);
    close(fd);
    return found;
#else
    return is_link_local(address); /* a link-local address means nothing without its card */
#endif
}

void pl_datagram_answer(intptr_t fd, uint8_t *b, int size, pl_datagram_complete *complete,
                        const void *context, const pl_datagram *d, bool same_card) {
    const outgoing out = {.b = b, .size = size, .complete = complete, .context = context};
    if (d->is_to_known) {
        if (same_card && d->card && send_from(fd, &out, d, d->card)) return;
        if (send_from(fd, &out, d, 0)) return;
    }
    complete(b, context);
    sendto((socket_t)fd, (const char *)b, size, 0, (const struct sockaddr *)&d->from, size_of(&d->from));
}

void pl_datagram_send(intptr_t fd, const uint8_t *b, int size) {
    send((socket_t)fd, (const char *)b, size, 0);
}

static pollfd_t readable(intptr_t fd) {
    pollfd_t p = {0};
    p.fd = (socket_t)fd;
    p.events = POLLIN;
    return p;
}

bool pl_datagram_wait(intptr_t fd, intptr_t stop_fd, int wait_ms) {
    pollfd_t p[2] = {readable(fd), readable(stop_fd)};
    return poll_sockets(p, 2, wait_ms) < 0 || p[0].revents;
}

void pl_datagram_nap(intptr_t stop_fd, int wait_ms) {
    pollfd_t p = readable(stop_fd);
    poll_sockets(&p, 1, wait_ms);
}
