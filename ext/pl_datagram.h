/* Datagrams of the clock threads: one system interface for Linux, macOS and Windows.
 *
 * A computer can have several addresses: several cards, IPv6 addresses that change, a VPN. A datagram that
 * was received names the address that it was sent to, and the answer leaves from there. Without this the
 * system chooses the address of the answer by its route, and the peer, whose socket is connected, never
 * receives it. */
#ifndef PL_DATAGRAM_H
#define PL_DATAGRAM_H

#include <stdbool.h>
#include <stdint.h>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <netinet/in.h>
#include <sys/socket.h>
#endif

enum { PL_ADDRESS_BYTES = 16 };

/* An IPv4 or IPv6 address without its port. IPv4 in its mapped IPv6 form, so that both kinds compare
 * alike. */
typedef struct {
    uint8_t bytes[PL_ADDRESS_BYTES];
} pl_address;

typedef struct {
    struct sockaddr_storage from;
    pl_address to;      /* the address of this computer that it was sent to */
    uint32_t card;      /* the index of the interface on which it came; 0: unknown */
    bool is_to_known;   /* `to` and `card` are set */
    int64_t arrived_ns; /* local time, by the kernel's time stamp where there is one */
} pl_datagram;

/* Ask the kernel for the time of arrival of each datagram. */
void pl_datagram_request_stamps(intptr_t fd);
/* Ask the system for the address that each datagram was sent to. */
void pl_datagram_request_destinations(intptr_t fd);

/* Receive one datagram. Returns its length (`size` if it is longer), 0 if there is none, and a negative
 * number on an error that is not temporary: then pl_datagram_error tells which. */
int pl_datagram_receive(intptr_t fd, uint8_t *b, int size, pl_datagram *d);
/* Completes a datagram that is about to be sent; see pl_datagram_answer. */
typedef void pl_datagram_complete(uint8_t *b, const void *context);

/* May the answers to this address leave through the card on which its datagrams come? With two cards in
 * one network the route may lead through the other one, and the difference of the two ways would be an
 * error of the clock. On Linux the choice of a card replaces the routes of IPv4: it is right only if no
 * router is between. On other systems the address that the answer leaves from decides the card. */
bool pl_datagram_is_neighbour(const pl_address *address);
/* Send `size` bytes to the sender of `d`, from the address that it was sent to, and with `same_card`
 * through the card on which it came. `complete` writes to `b` what depends on the time of sending. It is
 * called with `context` immediately before each call of the system. */
void pl_datagram_answer(intptr_t fd, uint8_t *b, int size, pl_datagram_complete *complete,
                        const void *context, const pl_datagram *d, bool same_card);
/* Send on a connected socket. A failure counts as a loss on the way. */
void pl_datagram_send(intptr_t fd, const uint8_t *b, int size);

/* Wait until there is a datagram or an error, at most `wait_ms` (-1: without a limit). The next read shows
 * which one; for a closed socket WSAPoll itself fails. `stop_fd` is a socket that becomes readable when the
 * thread has to stop: this ends the wait, too. */
bool pl_datagram_wait(intptr_t fd, intptr_t stop_fd, int wait_ms);
/* Sleep, until the thread has to stop at the longest. */
void pl_datagram_nap(intptr_t stop_fd, int wait_ms);
/* The last error of the system in this thread. */
int pl_datagram_error(void);
pl_address pl_datagram_address(const struct sockaddr_storage *s);

#endif
