/* SPDX-License-Identifier: MIT */
/* dial.c - sockets to the server of an address, without waiting for them. */
#include "dial.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail_system(const struct address *address, int code, struct failure *failure)
{
    /* A socket file that is not there: nobody listens. -ENOENT is for jobs. */
    int err = code == ENOENT ? -ECONNREFUSED : -code;
    return weir__fail(failure, err, "cannot connect to %s: %s", address->name,
                      weir_strerror(-code));
}

int weir__dial_begin(struct dial *dial, const struct address *address, struct failure *failure)
{
    *dial = (struct dial){NULL, NULL, false};
    if (address->path != NULL) {
        if (strlen(address->path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
            return fail_system(address, ENAMETOOLONG, failure);
        return 0;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    int err = getaddrinfo(address->host, address->port, &hints, &dial->found);
    if (err == EAI_SYSTEM)
        return fail_system(address, errno, failure);
    if (err == EAI_MEMORY)
        return weir__fail(failure, -ENOMEM, "no memory");
    if (err != 0)
        return weir__fail(failure, -EHOSTUNREACH, "cannot find the host %.100s: %s", address->host,
                          gai_strerror(err));
    dial->next = dial->found;
    return 0;
}

static int connect_to(const struct sockaddr *to, socklen_t size, int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    if (family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    if (connect(fd, to, size) < 0 && errno != EINPROGRESS) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int weir__dial_next(struct dial *dial, const struct address *address, struct failure *failure)
{
    int fd = -ECONNREFUSED;
    if (address->path != NULL && !dial->tried) {
        dial->tried = true;
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        strcpy(to.sun_path, address->path);
        fd = connect_to((struct sockaddr *)&to, sizeof to, AF_UNIX);
        return fd >= 0 ? fd : fail_system(address, -fd, failure);
    }
    if (dial->next == NULL)
        return failure->code;
    while (dial->next != NULL) {
        const struct addrinfo *to = dial->next;
        dial->next = to->ai_next;
        fd = connect_to(to->ai_addr, to->ai_addrlen, to->ai_family);
        if (fd >= 0)
            return fd;
    }
    return fail_system(address, -fd, failure);
}

int weir__dial_result(int fd, const struct address *address, struct failure *failure)
{
    int code = 0;
    socklen_t size = sizeof code;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
        code = errno;
    return code == 0 ? 0 : fail_system(address, code, failure);
}

void weir__dial_end(struct dial *dial)
{
    if (dial->found != NULL)
        freeaddrinfo(dial->found);
    *dial = (struct dial){NULL, NULL, false};
}
