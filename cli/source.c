/* SPDX-License-Identifier: MIT */
/* source.c - records from words, or from a file through a buffer that grows to the longest record.
 * data[begin .. end) is what was read and not yet given out; no delimiter is in [begin .. seen).
 */
#include "source.h"

#include "complain.h"
#include "temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE ((size_t)64 * 1024)

struct source {
    char *const *words; /* NULL: a file */
    size_t n_words, next_word;

    const char *path;
    int fd;
    int stop_fd;
    int spool; /* what was read from a pipe, for the next start; -1: none */
    bool regular, at_end;
    char delimiter;
    char *data;
    size_t begin, seen, end, room;
    off_t start; /* where in the file the first record is */
};

int source_of_words(struct source **ret, char *const words[], size_t n)
{
    struct source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return -ENOMEM;
    source->words = words;
    source->n_words = n;
    source->fd = -1;
    source->spool = -1;
    *ret = source;
    return 0;
}

static int open_file(struct source *source, bool again)
{
    bool standard = strcmp(source->path, "-") == 0;
    struct stat about;
    if (standard)
        source->path = "standard input";
    source->fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                          : open(source->path, O_RDONLY | O_CLOEXEC);
    if (source->fd < 0 || fstat(source->fd, &about) < 0)
        return -errno;
    if (S_ISDIR(about.st_mode))
        return -EISDIR;
    source->regular = S_ISREG(about.st_mode);
    source->start = source->regular ? lseek(source->fd, 0, SEEK_CUR) : 0;
    if (again && !source->regular) {
        source->spool = temporary_file();
        if (source->spool < 0)
            return source->spool;
    }
    return 0;
}

int source_of_file(struct source **ret, const char *path, char delimiter, bool again, int stop_fd)
{
    struct source *source;
    int err = source_of_words(&source, NULL, 0);
    if (err != 0) {
        complain("%s: %s", path, strerror(-err));
        return err;
    }
    source->path = path;
    source->delimiter = delimiter;
    source->stop_fd = stop_fd;
    err = open_file(source, again);
    if (err != 0) {
        complain("%s: %s", source->path, strerror(-err));
        source_free(source);
        return err;
    }
    *ret = source;
    return 0;
}

void source_free(struct source *source)
{
    if (source == NULL)
        return;
    if (source->fd >= 0)
        close(source->fd);
    if (source->spool >= 0)
        close(source->spool);
    free(source->data);
    free(source);
}

static int fail(const struct source *source, int err)
{
    complain("%s: %s", source->path, strerror(-err));
    return err;
}

/* Makes room for another read behind `end`. */
static int make_room(struct source *source)
{
    size_t size = source->end - source->begin;
    if (source->begin > 0) {
        memmove(source->data, source->data + source->begin, size);
        source->seen -= source->begin;
        source->begin = 0;
        source->end = size;
    }
    if (source->room - size >= READ_SIZE)
        return 0;
    size_t room = source->room == 0 ? 2 * READ_SIZE : 2 * source->room;
    char *data = realloc(source->data, room);
    if (data == NULL)
        return fail(source, -ENOMEM);
    source->data = data;
    source->room = room;
    return 0;
}

/* Sleeps until there is something to read, or the run is to stop. */
static int wait_for_more(const struct source *source)
{
    struct pollfd fds[2] = {{.fd = source->fd, .events = POLLIN},
                            {.fd = source->stop_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            return -errno;
    return fds[1].revents != 0 ? -ECANCELED : 0;
}

/* Reads some more. Returns 0, also at the end. */
static int fill(struct source *source)
{
    int err = make_room(source);
    if (err == 0 && !source->regular)
        err = wait_for_more(source);
    if (err != 0)
        return err;
    ssize_t size = read(source->fd, source->data + source->end, READ_SIZE);
    if (size < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : fail(source, -errno);
    source->at_end = size == 0;
    if (source->spool >= 0) {
        err = write_all(source->spool, source->data + source->end, (size_t)size);
        if (err != 0)
            return fail(source, err);
    }
    source->end += (size_t)size;
    return 0;
}

static struct bytes give(struct source *source, size_t size, size_t skipped)
{
    struct bytes given = {source->data + source->begin, size};
    source->begin += size + skipped;
    source->seen = source->begin;
    return given;
}

static int next_in_file(struct source *source, struct bytes *ret)
{
    for (;;) {
        size_t unseen = source->end - source->seen;
        char *found =
            unseen == 0 ? NULL : memchr(source->data + source->seen, source->delimiter, unseen);
        if (found != NULL) {
            *ret = give(source, (size_t)(found - (source->data + source->begin)), 1);
            return 1;
        }
        source->seen = source->end;
        if (source->at_end) {
            if (source->begin == source->end)
                return 0;
            *ret = give(source, source->end - source->begin, 0);
            return 1;
        }
        int err = fill(source);
        if (err != 0)
            return err;
    }
}

int source_next(struct source *source, struct bytes *ret)
{
    if (source->path != NULL)
        return next_in_file(source, ret);
    if (source->next_word == source->n_words)
        return 0;
    const char *word = source->words[source->next_word++];
    *ret = (struct bytes){word, strlen(word)};
    return 1;
}

bool source_is_at_hand(const struct source *source)
{
    size_t unseen = source->end - source->seen;
    return source->path == NULL || source->regular || source->at_end ||
           (unseen > 0 && memchr(source->data + source->seen, source->delimiter, unseen) != NULL);
}

int source_next_block(struct source *source, size_t size, struct bytes *ret)
{
    for (;;) {
        size_t here = source->end - source->begin;
        if (here >= size) {
            size_t from =
                source->seen > source->begin + size - 1 ? source->seen - source->begin : size - 1;
            char *found =
                memchr(source->data + source->begin + from, source->delimiter, here - from);
            if (found != NULL) {
                *ret = give(source, (size_t)(found + 1 - (source->data + source->begin)), 0);
                return 1;
            }
            source->seen = source->end;
        }
        if (source->at_end) {
            *ret = give(source, here, 0);
            return here > 0;
        }
        int err = fill(source);
        if (err != 0)
            return err;
    }
}

int source_restart(struct source *source)
{
    source->next_word = 0;
    if (source->path == NULL)
        return 0;
    if (source->spool >= 0) {
        close(source->fd);
        source->fd = source->spool;
        source->spool = -1;
        source->regular = true;
        source->start = 0;
    }
    source->begin = source->seen = source->end = 0;
    source->at_end = false;
    return lseek(source->fd, source->start, SEEK_SET) < 0 ? fail(source, -errno) : 0;
}

int64_t source_count(struct source *source)
{
    if (source->path == NULL)
        return source_restart(source) == 0 ? (int64_t)source->n_words : -1;
    if (!source->regular)
        return -1;
    int64_t count = 0;
    struct bytes record;
    while (next_in_file(source, &record) == 1)
        count++;
    return source_restart(source) == 0 ? count : -1;
}

int64_t source_count_rest(struct source *source, bool *ret_all)
{
    int64_t count = 0;
    struct bytes record;
    int err;
    if (source->path != NULL && !source->regular) {
        /* A wait would end with -ECANCELED at once: the run has been stopped. But what is in the
         * pipe already, and its end, can be read. */
        struct pollfd more = {.fd = source->fd, .events = POLLIN};
        source->stop_fd = -1;
        while (!source->at_end && poll(&more, 1, 0) > 0 && fill(source) == 0) {
            size_t begin = source->seen;
            for (; begin < source->end; begin++)
                count += source->data[begin] == source->delimiter;
            /* The part of a record that has no end yet is carried on, in case it gets none. */
            char *last = memrchr(source->data + source->begin, source->delimiter,
                                 source->end - source->begin);
            if (last != NULL)
                source->begin = (size_t)(last + 1 - source->data);
            source->seen = source->end;
        }
        *ret_all = source->at_end;
        return count + (source->begin < source->end);
    }
    while ((err = source_next(source, &record)) == 1)
        count++;
    *ret_all = err == 0;
    return count;
}
