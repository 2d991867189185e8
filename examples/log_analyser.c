/* SPDX-License-Identifier: MIT */
/* log_analyser.c - counts the requests in the log of a web server, on all CPUs.
 *
 * The log is read in blocks of whole lines by one thread at a time, the blocks are counted by all,
 * and the counts added up. ^C ends the reading, also of a pipe on which nothing comes: then what
 * was read so far is counted and shown. A second ^C ends the program at once.
 *
 * Usage: log_analyser <LOG */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <weir.h>

enum { BLOCK = 1 << 20 };

struct counts {
    unsigned long long lines, unreadable, bytes, classes[6];
};

struct block {
    struct counts counts;
    size_t n;
    char text[BLOCK];
};

struct input {
    weir_context *stop;
    int stopped_fd;     /* readable once it is over */
    struct block *rest; /* the next, with what the last one has cut off; NULL at the end */
};

static void wake(void *fd)
{
    (void)eventfd_write(*(int *)fd, 1);
}

/* How much was read; 0: the end, or stopped. */
static ssize_t read_some(const struct input *input, char *to, size_t n)
{
    struct pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {input->stopped_fd, POLLIN, 0}};
    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            return -errno;
    if (fds[1].revents != 0)
        return 0;
    ssize_t got = read(STDIN_FILENO, to, n);
    return got < 0 ? -errno : got;
}

static int read_block(weir_context *ctx, void **item, void *arg)
{
    struct input *input = arg;
    struct block *block = input->rest;
    ssize_t got = 1;
    (void)ctx;
    if (block == NULL)
        return 0;
    input->rest = NULL;
    while (block->n < BLOCK &&
           (got = read_some(input, block->text + block->n, BLOCK - block->n)) > 0)
        block->n += (size_t)got;
    *item = block; /* from here on drop_block frees it after an error */
    if (got <= 0)
        return (int)got;
    const char *last = memrchr(block->text, '\n', BLOCK);
    if (last == NULL)
        return -EOVERFLOW;
    input->rest = calloc(1, sizeof *input->rest);
    if (input->rest == NULL)
        return -ENOMEM;
    block->n = (size_t)(last + 1 - block->text);
    input->rest->n = BLOCK - block->n;
    memcpy(input->rest->text, last + 1, input->rest->n);
    return 0;
}

/* HOST - USER [TIME] "REQUEST" STATUS BYTES */
static void count_line(const char *line, const char *end, struct counts *counts)
{
    const char *quote = memrchr(line, '"', (size_t)(end - line));
    unsigned status = 0, bytes = 0;
    char rest[32] = "";
    counts->lines++;
    if (quote != NULL && end - quote < (ptrdiff_t)sizeof rest)
        memcpy(rest, quote + 1, (size_t)(end - quote - 1));
    if (sscanf(rest, "%u %u", &status, &bytes) < 1 || status < 100 || status > 599) {
        counts->unreadable++;
        return;
    }
    counts->classes[status / 100]++;
    counts->bytes += bytes;
}

static int count_block(weir_context *ctx, void **item, void *arg)
{
    struct block *block = *item;
    (void)ctx;
    (void)arg;
    for (char *line = block->text, *end = line + block->n, *next; line < end; line = next + 1) {
        next = memchr(line, '\n', (size_t)(end - line));
        if (next == NULL)
            next = end; /* the last line of all */
        count_line(line, next, &block->counts);
    }
    return 0;
}

static int add_up(weir_context *ctx, void **item, void *arg)
{
    const struct counts *counts = &((struct block *)*item)->counts;
    struct counts *sum = arg;
    (void)ctx;
    sum->lines += counts->lines;
    sum->unreadable += counts->unreadable;
    sum->bytes += counts->bytes;
    for (int i = 0; i < 6; i++)
        sum->classes[i] += counts->classes[i];
    free(*item);
    return 0;
}

static void drop_block(void *item, void *user)
{
    (void)user;
    free(item);
}

static int analyse(struct input *input, struct counts *sum)
{
    const weir_stage stages[] = {
        {read_block, input, WEIR_STAGE_IN_ORDER},
        {count_block, NULL, WEIR_STAGE_PARALLEL},
        {add_up, sum, WEIR_STAGE_SERIAL},
    };
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    weir_pool *pool = NULL;
    int err = weir_context_on_done(input->stop, &hook, wake, &input->stopped_fd);
    if (err != 0)
        return err;
    err = weir_pool_new(&pool, NULL);
    if (err == 0)
        err = weir_pipeline_run(pool, stages, 3, WEIR_PIPELINE_OPTIONS(.on_drop = drop_block));
    weir_pool_free(pool);
    (void)weir_context_hook_stop(&hook);
    return err;
}

int main(void)
{
    struct input input = {.stopped_fd = eventfd(0, EFD_CLOEXEC),
                          .rest = calloc(1, sizeof *input.rest)};
    struct counts sum = {0};
    int err = input.stopped_fd < 0 || input.rest == NULL ? -errno : 0;
    if (err == 0)
        err = weir_context_from_signals(&input.stop, NULL, NULL, 0);
    if (err == 0)
        err = analyse(&input, &sum);
    int signal = weir_context_cause(input.stop);
    if (err == 0) {
        printf("%llu requests, %llu bytes, %llu lines that are none\n", sum.lines - sum.unreadable,
               sum.bytes, sum.unreadable);
        for (int i = 1; i < 6; i++)
            printf("%dxx: %llu\n", i, sum.classes[i]);
    } else {
        fprintf(stderr, "log_analyser: %s\n", weir_strerror(err));
    }
    weir_context_cancel(input.stop, 0);
    weir_context_unref(input.stop);
    free(input.rest);
    (void)close(input.stopped_fd);
    return err != 0 ? 1 : signal > 0 ? 128 + signal : 0;
}
