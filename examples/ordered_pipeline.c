/* SPDX-License-Identifier: MIT */
/* ordered_pipeline.c - lines that are read one by one, worked on by all threads, and printed in the
 * order in which they came. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir.h>

static const char *const text[] = {"a weir", "is a low dam:", "it bounds a flow",
                                   "without stopping it"};

enum { LINES = sizeof text / sizeof text[0] };

struct input {
    unsigned next;
};

/* One at a time; NULL is left in `item` at the end. */
static int read_line(weir_context *ctx, void **item, void *arg)
{
    struct input *input = arg;
    (void)ctx;
    if (input->next == LINES)
        return 0;
    *item = strdup(text[input->next++]);
    return *item != NULL ? 0 : -ENOMEM;
}

/* Several at once. */
static int work(weir_context *ctx, void **item, void *arg)
{
    (void)ctx;
    (void)arg;
    for (char *c = *item; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    return 0;
}

/* One at a time, in the order of the input. */
static int print_line(weir_context *ctx, void **item, void *arg)
{
    (void)ctx;
    (void)arg;
    int err = puts(*item) < 0 ? -EIO : 0;
    if (err == 0)
        free(*item); /* else drop_line does */
    return err;
}

static void drop_line(void *item, void *user)
{
    (void)user;
    free(item);
}

int main(void)
{
    struct input input = {0};
    const weir_stage stages[] = {
        {read_line, &input, WEIR_STAGE_IN_ORDER},
        {work, NULL, WEIR_STAGE_PARALLEL},
        {print_line, NULL, WEIR_STAGE_IN_ORDER},
    };
    weir_pool *pool = NULL;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2));
    if (err == 0)
        err = weir_pipeline_run(pool, stages, 3,
                                WEIR_PIPELINE_OPTIONS(.in_flight = 8, .on_drop = drop_line));
    weir_pool_free(pool);
    if (err != 0)
        fprintf(stderr, "ordered_pipeline: %s\n", weir_strerror(err));
    return err != 0;
}
