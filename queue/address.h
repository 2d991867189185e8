/* SPDX-License-Identifier: MIT */
/* address.h - what the URL of a queue says. */
#ifndef WEIR_QUEUE_ADDRESS_H
#define WEIR_QUEUE_ADDRESS_H

#include "failure.h"

struct address {
    char *host, *port; /* or */
    char *path;        /* of a socket */
    char *user, *password;
    char *database; /* its number; NULL: 0 */
    char *prefix;   /* of all keys of the queue */
    char *name;     /* of the server, for people */
};

/* Takes the URL apart. `password` is used if the URL has none. Returns 0, or a negative errno with
 * its text in `ret_failure`, which never shows the URL: there may be a password in it. */
int weir__address_parse(struct address *ret, const char *url, const char *password,
                        struct failure *ret_failure);

void weir__address_destroy(struct address *address);

#endif
