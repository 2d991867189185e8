/* SPDX-License-Identifier: MIT */
/* listen.c - a socket that listens. */
#include "inside.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int bind_to(const struct addrinfo *where, unsigned *ret_port)
{
    int on = 1, fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, where->ai_addr, where->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &size) != 0) {
        int err = -errno;
        (void)close(fd);
        return err;
    }
    *ret_port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                  : ((struct sockaddr_in *)&bound)->sin_port);
    return fd;
}

int listen_on(const char *where, unsigned *ret_port)
{
    char host[SETTING_TEXT];
    snprintf(host, sizeof host, "%s", where);
    char *colon = strrchr(host, ':'), *name = host;
    if (colon == NULL)
        return -EINVAL;
    *colon = '\0';
    size_t n = strlen(host);
    if (n > 1 && host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        name++;
    }
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM},
                    *found = NULL;
    if (getaddrinfo(name, colon + 1, &hints, &found) != 0)
        return -EINVAL;
    int fd = bind_to(found, ret_port);
    freeaddrinfo(found);
    return fd;
}
