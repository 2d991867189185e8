/* SPDX-License-Identifier: MIT */
/* output.c - prints. After the first error nothing more is printed and nothing more is started. */
#include "output.h"

#include "complain.h"
#include "render.h"
#include "temporary.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int output_init(struct output *output, const struct settings *settings, const struct template *tag,
                struct stop *stop, struct bin *bin, size_t ahead, bool share)
{
    *output = (struct output){.settings = settings,
                              .tag = tag,
                              .stop = stop,
                              .bin = bin,
                              .lock = PTHREAD_MUTEX_INITIALIZER,
                              .order_lock = PTHREAD_MUTEX_INITIALIZER,
                              .shared = -1,
                              .n_ring = ahead};
    if (!settings->keep_order)
        return 0;
    if (share)
        output->shared = temporary_file();
    if (share && output->shared < 0)
        return output->shared;
    output->ring = calloc(ahead, sizeof(*output->ring));
    return output->ring == NULL ? -ENOMEM : weir_semaphore_init(&output->room, (uint32_t)ahead);
}

void output_destroy(struct output *output)
{
    if (output->ring != NULL)
        weir_semaphore_destroy(&output->room);
    free(output->ring);
    if (output->shared > 0)
        close(output->shared);
}

static void fail_locked(struct output *output, int fd, int err)
{
    if (output->failed != 0)
        return;
    output->failed = err;
    complain("%s: %s", fd == STDOUT_FILENO ? "standard output" : "standard error", strerror(-err));
    stop_to(output->stop, STOP_SOON, STOP_OUTPUT, 0);
}

void output_look(struct output *output)
{
    struct pollfd standard = {.fd = STDOUT_FILENO};
    if (poll(&standard, 1, 0) <= 0 || (standard.revents & POLLERR) == 0)
        return;
    pthread_mutex_lock(&output->lock);
    fail_locked(output, STDOUT_FILENO, -EPIPE);
    pthread_mutex_unlock(&output->lock);
}

void output_make_tag(const struct output *output, struct job *job, unsigned slot)
{
    buffer_clear(&job->tag);
    if (output->tag == NULL)
        return;
    render_text(&job->tag, output->tag, job, slot);
    buffer_append(&job->tag, "\t", 1);
}

static void print_locked(struct output *output, struct capture *capture, int fd,
                         const struct buffer *tag)
{
    if (output->failed != 0 || capture_size(capture) == 0)
        return;
    if (fd == STDERR_FILENO || output->settings->bar)
        complain_clear_bar();
    int err = output->tag == NULL
                  ? capture_write(capture, fd)
                  : capture_write_lines(capture, fd, (struct bytes){tag->data, tag->size});
    if (err != 0)
        fail_locked(output, fd, err);
}

static void print_command_locked(struct output *output, const struct buffer *shown)
{
    if (output->failed != 0)
        return;
    struct buffer line = {0};
    buffer_append(&line, shown->data, shown->size);
    buffer_append(&line, "\n", 1);
    int err = line.failed ? -ENOMEM : write_all(STDOUT_FILENO, line.data, line.size);
    if (err != 0)
        fail_locked(output, STDOUT_FILENO, err);
    buffer_free(&line);
}

void output_print(struct output *output, struct job *job, const struct buffer *shown,
                  struct capture *out, struct capture *err)
{
    bool command = output->settings->verbose && shown->size > 0;
    if (command || capture_size(out) > 0 || capture_size(err) > 0) {
        pthread_mutex_lock(&output->lock);
        if (command)
            print_command_locked(output, shown);
        print_locked(output, out, STDOUT_FILENO, &job->tag);
        print_locked(output, err, STDERR_FILENO, &job->tag);
        pthread_mutex_unlock(&output->lock);
    }
    capture_clear(out);
    capture_clear(err);
}

/* The job is not the next one: its output is to wait with that of others. */
static void share_locked(struct output *output, struct job *job)
{
    if (output->shared < 0 || job->turn == output->turn)
        return;
    int err = capture_share(&job->out, output->shared, &output->shared_size);
    if (err == 0)
        err = capture_share(&job->err, output->shared, &output->shared_size);
    if (err == 0)
        return;
    complain("job %llu: its output cannot be kept in %.200s: %s", (unsigned long long)job->seq,
             temporary_folder(), strerror(-err));
    stop_to(output->stop, STOP_SOON, STOP_OUTPUT, 0);
}

/* One thread prints, while the others leave their jobs and go on: a slow reader holds up slots only
 * by the bound on jobs that are ahead. */
void output_in_turn(struct output *output, struct job *job)
{
    pthread_mutex_lock(&output->order_lock);
    share_locked(output, job);
    output->ring[job->turn % output->n_ring] = job;
    bool mine = !output->printing;
    while (mine) {
        struct job **place = &output->ring[output->turn % output->n_ring];
        struct job *next = *place;
        if (next == NULL)
            break;
        *place = NULL;
        output->turn++;
        output->printing = true;
        pthread_mutex_unlock(&output->order_lock);
        output_print(output, next, &next->shown, &next->out, &next->err);
        job_release(next, output->bin);
        weir_semaphore_release(&output->room, 1);
        pthread_mutex_lock(&output->order_lock);
    }
    if (mine)
        output->printing = false;
    pthread_mutex_unlock(&output->order_lock);
    /* The lines of the next one may be waiting, although it runs. */
    if (mine && output->settings->output == OUTPUT_LINES)
        slots_nudge(output->stop->slots);
}

/* Whether lines may be printed as they come: with -k only those of the first job that has not
 * ended, once those before it have been printed. */
static bool is_on_turn(struct output *output, const struct job *job)
{
    if (!output->settings->keep_order)
        return true;
    pthread_mutex_lock(&output->order_lock);
    bool is = !output->printing && job->turn == output->turn;
    pthread_mutex_unlock(&output->order_lock);
    return is;
}

static void print_lines(struct output *output, struct job *job, struct capture *capture, int fd)
{
    pthread_mutex_lock(&output->lock);
    print_locked(output, capture, fd, &job->tag);
    pthread_mutex_unlock(&output->lock);
    capture_clear(capture);
}

void output_lines(struct output *output, struct job *job, struct capture *capture, int fd,
                  struct bytes text)
{
    const char *last = memrchr(text.data, '\n', text.size);
    size_t size = last == NULL ? 0 : (size_t)(last + 1 - text.data);
    int err = capture_append(capture, text.data, size);
    if (err == 0 && size > 0 && is_on_turn(output, job))
        print_lines(output, job, capture, fd);
    if (err == 0)
        err = capture_append(capture, text.data + size, text.size - size);
    if (text.size > 0)
        capture->in_line = size < text.size;
    if (err == 0)
        return;
    pthread_mutex_lock(&output->lock);
    fail_locked(output, fd, err);
    pthread_mutex_unlock(&output->lock);
}

void output_lines_again(struct output *output, struct job *job, struct capture *capture, int fd)
{
    if (capture_size(capture) > 0 && !capture->in_line && is_on_turn(output, job))
        print_lines(output, job, capture, fd);
}

int output_error(struct output *output)
{
    pthread_mutex_lock(&output->lock);
    int err = output->failed;
    pthread_mutex_unlock(&output->lock);
    return err;
}
