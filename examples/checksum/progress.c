/* SPDX-License-Identifier: MIT */
/* progress.c - how far a run is: counted always, drawn if standard error is a terminal.
 *
 * What is left can only be told from what there is: the thread that draws first walks the tree
 * itself, for the sizes alone, which takes a small part of the time that reading it takes. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "walk.h"

#define INTERVAL WEIR_MS(100)

struct view {
    double files, bytes, seconds;
};

static struct view look(struct progress *progress)
{
    return (struct view){
        .files = (double)atomic_load_explicit(&progress->files, memory_order_relaxed),
        .bytes = (double)atomic_load_explicit(&progress->bytes, memory_order_relaxed),
        .seconds = (double)(weir_now() - progress->start) / 1e9,
    };
}

/* The part of the work that is done, 0 to 1. Bytes say more than files, unless all are empty. Both
 * may exceed the total: files grow, and new ones appear. */
static double part_done(const struct progress *progress, const struct view *view)
{
    double done = view->files, total = (double)progress->total_files;
    if (progress->total_bytes > 0) {
        done = view->bytes;
        total = (double)progress->total_bytes;
    }
    return total <= 0 || done >= total ? 1 : done / total;
}

/* The time to go, by the time that this much took; at the end, the time it all took. */
static void format_time(char *text, size_t size, double part, double seconds, bool last)
{
    double left = part > 0 ? seconds * (1 - part) / part : -1;
    if (last)
        snprintf(text, size, "%.1f s", seconds);
    else if (left < 0 || left > 99 * 3600)
        snprintf(text, size, "ETA -:--");
    else if (left >= 3600)
        snprintf(text, size, "ETA %d:%02d:%02d", (int)left / 3600, (int)left / 60 % 60,
                 (int)left % 60);
    else
        snprintf(text, size, "ETA %d:%02d", (int)left / 60, (int)left % 60);
}

static void draw(struct progress *progress, bool last)
{
    struct view view = look(progress);
    double part = progress->total_known ? part_done(progress, &view) : 0;
    double rate = view.seconds > 0 ? view.bytes / 1e6 / view.seconds : 0;
    char time[32], text[160], line[256];
    format_time(time, sizeof(time), part, view.seconds, last);
    if (progress->total_known)
        snprintf(text, sizeof(text), "%.0f/%" PRIuFAST64 " files  %.1f/%.1f MB  %.1f MB/s  %s",
                 view.files, progress->total_files, view.bytes / 1e6,
                 (double)progress->total_bytes / 1e6, rate, time);
    else
        snprintf(text, sizeof(text), "%.0f files  %.1f MB  %.1f MB/s  %s", view.files,
                 view.bytes / 1e6, rate, time);

    /* "100% [", the bar, "] ": as wide as the columns that the text leaves. */
    int width = terminal_width() < (int)sizeof(line) - 1 ? terminal_width() : (int)sizeof(line) - 1;
    int room = width - (int)strlen(text) - 8;
    int cells = room > 40 ? 40 : room;
    if (progress->total_known && cells > 0) {
        int full = (int)(part * cells);
        snprintf(line, sizeof(line), "%3d%% [%.*s%.*s] %s", (int)(part * 100), full,
                 "########################################", cells - full,
                 "........................................", text);
    } else {
        snprintf(line, sizeof(line), "%.*s", width, text);
    }
    terminal_draw(progress->terminal, line, last);
}

static bool takes_list(const struct progress *progress)
{
    for (size_t i = 0; i < progress->n_args; i++)
        if (strcmp(progress->args[i], "-") == 0)
            return true;
    return false;
}

/* Adds up what there is to do, and goes on drawing meanwhile. A list on standard input can be read
 * once only, and that is not for us: then the total stays unknown. */
static void find_total(struct progress *progress)
{
    struct names names;
    struct walk *walk;
    struct walk_item item;
    if (takes_list(progress))
        return;
    names_init(&names, progress->args, progress->n_args, progress->ctx, -1);
    if (walk_new(&walk, &names) != 0)
        return;
    int got;
    int64_t drawn = progress->start;
    while ((got = walk_next(walk, &item)) == 1) {
        struct stat st;
        progress->total_files++;
        if (item.error == 0 && stat(item.path, &st) == 0 && S_ISREG(st.st_mode))
            progress->total_bytes += (uint_fast64_t)st.st_size;
        if (weir_now() - drawn >= INTERVAL) {
            draw(progress, false);
            drawn = weir_now();
        }
    }
    progress->total_known = got == 0;
    walk_free(walk);
}

static void *show(void *arg)
{
    struct progress *progress = arg;
    find_total(progress);
    do {
        draw(progress, false);
    } while (weir_sleep_until(progress->ctx, weir_after(INTERVAL)) == 0);
    if (progress->complete) {
        progress->total_files = atomic_load_explicit(&progress->files, memory_order_relaxed);
        progress->total_bytes = atomic_load_explicit(&progress->bytes, memory_order_relaxed);
        progress->total_known = true;
    }
    draw(progress, true);
    return NULL;
}

int progress_start(struct progress *progress, struct terminal *terminal, char *const args[],
                   size_t n_args)
{
    *progress = (struct progress){
        .start = weir_now(), .terminal = terminal, .args = args, .n_args = n_args};
    if (!terminal->has_bar)
        return 0;
    int err = weir_context_new(&progress->ctx, NULL, WEIR_FOREVER);
    if (err != 0)
        return err;
    err = pthread_create(&progress->thread, NULL, show, progress);
    if (err != 0) {
        weir_context_unref(progress->ctx);
        progress->ctx = NULL;
    }
    return -err;
}

void progress_stop(struct progress *progress, bool complete)
{
    if (progress->ctx == NULL)
        return;
    progress->complete = complete; /* a thread that sees the cancel sees it */
    weir_context_cancel(progress->ctx, 0);
    pthread_join(progress->thread, NULL);
    weir_context_unref(progress->ctx);
    progress->ctx = NULL;
}
