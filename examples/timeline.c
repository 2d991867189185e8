/* SPDX-License-Identifier: MIT */
/* timeline.c - a picture of the Mandelbrot set, in strips, and a timeline of how it was made.
 *
 * Each strip is a task with a name. What it computes another task packs, and one at a time appends
 * to the result. The main thread has more strips than the pool has room for, and so waits now and
 * then. All of that shows in the file that is written: timeline.json, or what the argument says. */
#include <stdint.h>
#include <stdio.h>

#include <weir.h>

enum { WORKERS = 3, CAPACITY = 4, STRIPS = 16, ROWS = 12, WIDTH = 400, MOST = 3000 };

struct strip {
    char name[24];
    struct picture *picture;
    int first_row;
    weir_task task;
    uint8_t pixels[ROWS][WIDTH];
};

struct picture {
    weir_pool *pool;
    weir_semaphore writer; /* one strip at a time is appended */
    size_t bytes;          /* of the result */
    int appended;
    struct strip strips[STRIPS];
};

static uint8_t iterations(double re, double im)
{
    double x = 0, y = 0;
    int n = 0;
    for (; n < MOST && x * x + y * y <= 4; n++) {
        double next = x * x - y * y + re;
        y = 2 * x * y + im;
        x = next;
    }
    return (uint8_t)(n == MOST ? 0 : 1 + n % 255);
}

/* How many bytes the strip takes as pairs of a length and a pixel. */
static size_t packed_size(const struct strip *strip)
{
    const uint8_t *pixels = strip->pixels[0];
    size_t bytes = 0;
    for (size_t i = 0, run; i < sizeof strip->pixels; i += run, bytes += 2)
        for (run = 1; run < 255 && i + run < sizeof strip->pixels; run++)
            if (pixels[i + run] != pixels[i])
                break;
    return bytes;
}

static int pack(weir_context *ctx, void *arg)
{
    struct strip *strip = arg;
    struct picture *picture = strip->picture;
    size_t bytes = packed_size(strip);
    int err = weir_semaphore_acquire_until(&picture->writer, 1, ctx, WEIR_FOREVER);
    if (err != 0)
        return err;
    weir_trace_begin("append");
    err = weir_sleep_until(ctx, weir_after(WEIR_MS(1))); /* a slow disk */
    picture->bytes += bytes;
    picture->appended++;
    weir_trace_count("bytes", (int64_t)picture->bytes);
    weir_trace_end();
    weir_semaphore_release(&picture->writer, 1);
    return err;
}

static int draw(weir_context *ctx, void *arg)
{
    struct strip *strip = arg;
    (void)ctx;
    weir_trace_begin("iterate");
    for (int y = 0; y < ROWS; y++)
        for (int x = 0; x < WIDTH; x++)
            strip->pixels[y][x] = iterations(-2.2 + 3.2 * x / WIDTH,
                                             -1.2 + 2.4 * (strip->first_row + y) / (STRIPS * ROWS));
    weir_trace_end();
    return weir_pool_submit(strip->picture->pool, pack, strip);
}

/* Tasks that have no name of their own. */
static const char *name_of(weir_task_fn *fn, void *arg, void *user)
{
    (void)arg;
    (void)user;
    return fn == pack ? "pack" : NULL;
}

static int draw_all(struct picture *picture)
{
    int err = 0;
    for (int i = 0; i < STRIPS && err == 0; i++) {
        struct strip *strip = &picture->strips[i];
        strip->picture = picture;
        strip->first_row = i * ROWS;
        (void)snprintf(strip->name, sizeof strip->name, "draw %d", i);
        err = weir_pool_submit_task(picture->pool, &strip->task, draw, strip,
                                    WEIR_TASK_OPTIONS(.name = strip->name));
    }
    int drained = weir_pool_drain(picture->pool);
    return err != 0 ? err : drained;
}

int main(int argc, char **argv)
{
    static struct picture picture;
    const char *path = argc > 1 ? argv[1] : "timeline.json";
    int err = weir_semaphore_init(&picture.writer, 1);
    if (err == 0)
        err = weir_pool_new(&picture.pool,
                            WEIR_POOL_OPTIONS(.name = "draw", .workers = WORKERS,
                                              .name_of = name_of, .capacity = CAPACITY));
    if (err == 0)
        err = weir_trace_start(WEIR_TRACE_OPTIONS(.path = path));
    if (err == 0) {
        err = draw_all(&picture);
        int stopped = weir_trace_stop();
        err = err != 0 ? err : stopped;
    }
    weir_pool_free(picture.pool);
    weir_semaphore_destroy(&picture.writer);
    if (err != 0)
        fprintf(stderr, "timeline: %s\n", weir_strerror(err));
    else
        printf("%d strips drawn, %d appended, %d events lost\n", STRIPS, picture.appended,
               (int)weir_trace_lost());
    return err != 0;
}
