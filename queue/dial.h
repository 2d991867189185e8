/* SPDX-License-Identifier: MIT */
/* dial.h - sockets to the server of an address, without waiting for them. */
#ifndef WEIR_QUEUE_DIAL_H
#define WEIR_QUEUE_DIAL_H

#include "address.h"

struct addrinfo;

/* The addresses that are still to be tried. All-zero: none. */
struct dial {
    struct addrinfo *found, *next;
    bool tried; /* the socket file, which is one address */
};

/* Looks up the host; blocks for that as long as the system's resolver does. Returns 0 or an error.
 */
int weir__dial_begin(struct dial *dial, const struct address *address, struct failure *failure);

/* Begins to connect to the next address. Returns a socket that is writable once it is connected or
 * has failed, or an error when there is none left: that of the last one. */
int weir__dial_next(struct dial *dial, const struct address *address, struct failure *failure);

/* After the socket became writable: 0, or why it is not connected. */
int weir__dial_result(int fd, const struct address *address, struct failure *failure);

void weir__dial_end(struct dial *dial);

#endif
