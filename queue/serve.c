/* SPDX-License-Identifier: MIT */
/* serve.c - takes jobs, has a pool run them, and tells the server what became of them. */
#include "serve.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/options.h"

#define FIRST_OPTIONS_SIZE sizeof(weir_serve_options)
#define LEASE WEIR_S(30)
#define SHORTEST_LEASE WEIR_MS(30)
#define NAME_MAX_BYTES 200
#define BATCH_MOST 64
#define SLOTS_MOST 65536
#define FIRST_PAUSE WEIR_MS(50)
#define LONGEST_PAUSE WEIR_S(5)
/* When a pool that others fill up is asked again. */
#define POOL_PAUSE WEIR_MS(20)
/* How long the last farewell may take. */
#define LEAVE_TIME WEIR_S(1)

void weir__serve_tell(struct serve *serve, weir_serve_event event, const char *text, const char *id)
{
    if (serve->options.on_event != NULL)
        serve->options.on_event(event, text, id, serve->options.user);
}

void weir__again_later(struct again *again)
{
    again->pause = again->pause == 0 ? FIRST_PAUSE : 2 * again->pause;
    if (again->pause > LONGEST_PAUSE)
        again->pause = LONGEST_PAUSE;
    /* Workers that lost their server together do not come back together. */
    again->at = weir_after(again->pause / 2 + weir_now() % (again->pause / 2));
}

/* The server is gone, or refuses. Before it ever served, that is an error of the caller's. */
static void broken(struct serve *serve, int err)
{
    struct failure failure;
    pthread_mutex_lock(&serve->lock);
    failure = serve->line.failure;
    pthread_mutex_unlock(&serve->lock);
    if (err == -ENOMEM)
        (void)weir__fail(&failure, err, "no memory");
    weir__line_broken(serve);
    weir__again_later(&serve->line_again);
    if (!serve->served && (!weir__is_transient(err) || weir_now() >= serve->give_up)) {
        serve->err = weir__fail_queue(serve->queue, &failure);
        return;
    }
    if (serve->told_up) {
        serve->told_up = false;
        weir__serve_tell(serve, WEIR_SERVE_DISCONNECTED, failure.text, NULL);
    }
    /* It ends: give it as long as any call, from the end of the last handler on. */
    if (serve->stopping && weir_now() >= serve->give_up)
        serve->err = weir__fail_queue(serve->queue, &failure);
}

/* Looks the host up without the lock, since that may take long. */
static int open_line(struct serve *serve)
{
    struct dial dial;
    struct failure failure;
    int err = weir__dial_begin(&dial, &serve->queue->address, &failure);
    pthread_mutex_lock(&serve->lock);
    if (err < 0)
        serve->line.failure = failure;
    else
        err = weir__wire_connect(&serve->line, &dial);
    pthread_mutex_unlock(&serve->lock);
    return err;
}

static void step_line(struct serve *serve)
{
    pthread_mutex_lock(&serve->lock);
    bool closed = serve->line.state == WIRE_CLOSED;
    int failed = closed && serve->line_up ? serve->line.failure.code : 0;
    pthread_mutex_unlock(&serve->lock);
    if (failed < 0) {
        broken(serve, failed); /* a pool's thread found out */
        return;
    }
    int err = 0;
    if (closed) {
        if (weir_now() < serve->line_again.at)
            return;
        err = open_line(serve);
    }
    if (err == 0)
        err = weir__line_read(serve);
    if (err == 0)
        err = weir__line_write(serve);
    if (err < 0)
        broken(serve, err);
}

/* Ends the handlers whose leases are over as far as we know. */
static void end_leases(struct serve *serve)
{
    int64_t now = weir_now();
    for (struct list *at = serve->hand.next; at != &serve->hand; at = at->next) {
        struct job *job = container_of(at, struct job, hand);
        pthread_mutex_lock(&serve->lock);
        bool over = now >= job->lease_end;
        pthread_mutex_unlock(&serve->lock);
        if (over && weir__job_stop(job, -ESTALE))
            weir__serve_tell(serve, WEIR_SERVE_LOST, "its lease is over", job->id);
    }
}

static void earliest(int64_t *until, int64_t time)
{
    if (time < *until)
        *until = time;
}

/* Until when there is nothing to do, unless something comes. */
static int64_t idle_until_locked(struct serve *serve)
{
    int64_t until = weir__wire_deadline(&serve->line);
    earliest(&until, weir__wire_deadline(&serve->ear));
    if (serve->line.state == WIRE_CLOSED)
        earliest(&until, serve->line_again.at);
    if (serve->ear.state == WIRE_CLOSED && serve->idle)
        earliest(&until, serve->ear_again.at);
    if (serve->line_up && serve->in_hand > 0)
        earliest(&until, serve->renew_at);
    if (serve->line_up && !serve->taking && !serve->stopping &&
        serve->in_hand < serve->most_in_hand)
        earliest(&until, serve->take_at);
    if (!list_empty(&serve->ready) && serve->at_pool < serve->at_pool_most)
        earliest(&until, weir_after(POOL_PAUSE));
    if (serve->stopping)
        earliest(&until, weir_after(WEIR_MS(100)));
    for (struct list *at = serve->hand.next; at != &serve->hand; at = at->next) {
        const struct job *job = container_of(at, struct job, hand);
        if (job->cause == 0 && job->state < JOB_ENDED)
            earliest(&until, job->lease_end);
    }
    return until;
}

static void nap(struct serve *serve)
{
    struct pollfd fds[3] = {{.fd = serve->bell, .events = POLLIN}};
    pthread_mutex_lock(&serve->lock);
    bool work = !list_empty(&serve->ended) && serve->line_up;
    serve->sleeping = !work;
    int64_t until = idle_until_locked(serve);
    fds[1].fd = serve->line.fd;
    fds[1].events = weir__wire_events(&serve->line);
    fds[2].fd = serve->ear.fd;
    fds[2].events = weir__wire_events(&serve->ear);
    pthread_mutex_unlock(&serve->lock);

    int64_t left = work ? 0 : until - weir_now();
    int64_t wait = left <= 0 ? 0 : left / 1000000 + 1;
    (void)poll(fds, 3, until == WEIR_FOREVER ? -1 : wait > 60000 ? 60000 : (int)wait);

    eventfd_t rings;
    if (fds[0].revents != 0)
        (void)eventfd_read(serve->bell, &rings);
    pthread_mutex_lock(&serve->lock);
    serve->sleeping = false;
    pthread_mutex_unlock(&serve->lock);
}

/* From now on nothing is taken, and nothing starts. */
static void stop(struct serve *serve)
{
    pthread_mutex_lock(&serve->lock);
    bool was = serve->stopping;
    serve->stopping = true;
    pthread_mutex_unlock(&serve->lock);
    if (!was)
        serve->give_up = weir_after(serve->queue->options.patience);
}

/* Whether the pool has done with all jobs in hand. */
static bool all_ended(struct serve *serve)
{
    bool all = true;
    pthread_mutex_lock(&serve->lock);
    for (struct list *at = serve->hand.next; at != &serve->hand; at = at->next)
        all = all && container_of(at, struct job, hand)->state >= JOB_ENDED;
    pthread_mutex_unlock(&serve->lock);
    return all;
}

static bool should_stop(struct serve *serve)
{
    pthread_mutex_lock(&serve->lock);
    int refused = serve->refused;
    pthread_mutex_unlock(&serve->lock);
    if (refused < 0 && serve->err == 0)
        serve->err = weir__fail_code(serve->queue, refused);
    bool drained = serve->options.drain && serve->empty && serve->in_hand == 0 && !serve->taking;
    return serve->err < 0 || drained || weir_context_err(serve->ctx) != 0;
}

/* After an error that ends it: the results cannot be told, so the jobs go to others when their
 * leases are over. */
static void abandon(struct serve *serve)
{
    weir__line_broken(serve);
    while (!list_empty(&serve->hand)) {
        struct job *job = container_of(serve->hand.next, struct job, hand);
        list_remove(&job->hand);
        weir__job_free(job);
    }
}

static void wait_for_jobs(struct serve *serve)
{
    while (!should_stop(serve)) {
        step_line(serve);
        weir__ear_step(serve);
        end_leases(serve);
        weir__jobs_submit(serve);
        if (!should_stop(serve))
            nap(serve);
    }
}

/* Gives back what has not started, waits for what runs, and settles all. */
static void wind_up(struct serve *serve)
{
    int first = serve->err;
    serve->err = 0;
    stop(serve);
    weir__ear_step(serve);
    for (;;) {
        weir__jobs_withdraw(serve);
        step_line(serve);
        end_leases(serve);
        if (serve->in_hand == 0 && !serve->taking)
            break;
        if (!all_ended(serve)) {
            serve->give_up = weir_after(serve->queue->options.patience);
            serve->err = 0;
        } else if (serve->err < 0) {
            break;
        }
        nap(serve);
    }
    int64_t leave_by = weir_after(LEAVE_TIME);
    if (serve->in_hand == 0 && serve->line_up && weir__line_leave(serve) == 0)
        while (!serve->left && serve->line_up && weir_now() < leave_by) {
            nap(serve);
            step_line(serve);
        }
    abandon(serve);
    if (first < 0)
        serve->err = first;
    else if (serve->left)
        serve->err = 0;
}

static int settle_times(weir_serve_options *options)
{
    if (options->lease < 0 || options->backoff_first < 0 || options->backoff_max < 0)
        return -EINVAL;
    if (options->lease == 0)
        options->lease = LEASE;
    if (options->lease < SHORTEST_LEASE || options->lease > WEIR_S(365L * 86400))
        return -EINVAL;
    if (options->renew == 0)
        options->renew = options->lease / 3;
    if (options->renew < 0)
        options->renew = WEIR_FOREVER;
    return 0;
}

static int settle(weir_serve_options *options, const weir_serve_options *given, weir_pool *pool)
{
    int err = read_options(options, sizeof *options, FIRST_OPTIONS_SIZE, given);
    if (err == 0)
        err = settle_times(options);
    if (err < 0)
        return err;
    if (options->slots == 0)
        options->slots = weir_pool_workers(pool);
    if (options->slots > SLOTS_MOST || options->batch > SLOTS_MOST)
        return -EINVAL;
    if (options->batch == 0)
        options->batch = options->slots < BATCH_MOST ? (int)options->slots : BATCH_MOST;
    if (options->batch < 0)
        options->batch = 0;
    if (options->name != NULL && (strpbrk(options->name, " \t\r\n") != NULL ||
                                  *options->name == '\0' || strlen(options->name) > NAME_MAX_BYTES))
        return -EINVAL;
    return 0;
}

static void name_worker(struct serve *serve)
{
    char word[17], host[100] = "host", name[NAME_MAX_BYTES + 1];
    weir__random_word(word);
    if (serve->options.name != NULL) {
        (void)snprintf(name, sizeof name, "%s", serve->options.name);
    } else {
        (void)gethostname(host, sizeof host - 1);
        (void)snprintf(name, sizeof name, "%s:%d", host, (int)getpid());
    }
    (void)snprintf(serve->worker, sizeof serve->worker, "%s:%.6s", name, word);
}

static void ring_serve(void *arg)
{
    weir__serve_ring(arg);
}

static int serve_until_over(struct serve *serve)
{
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    serve->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (serve->bell < 0)
        return weir__fail_code(serve->queue, -errno);
    if (serve->ctx != NULL) {
        int err = weir_context_on_done(serve->ctx, &hook, ring_serve, serve);
        if (err < 0) {
            close(serve->bell);
            return weir__fail_code(serve->queue, err);
        }
    }
    pthread_mutex_init(&serve->lock, NULL);
    weir__wire_init(&serve->line, &serve->queue->address, &serve->queue->options);
    weir__wire_init(&serve->ear, &serve->queue->address, &serve->queue->options);
    serve->line.with_scripts = true;
    serve->give_up = weir_after(serve->queue->options.patience);
    wait_for_jobs(serve);
    wind_up(serve);
    (void)weir_context_hook_stop(&hook);
    weir__wire_destroy(&serve->line);
    weir__wire_destroy(&serve->ear);
    pthread_mutex_destroy(&serve->lock);
    close(serve->bell);
    return serve->err;
}

int weir_queue_serve(weir_queue *queue, weir_pool *pool, weir_message_fn *fn, void *arg,
                     const weir_serve_options *options, weir_context *ctx)
{
    int err = weir__queue_enter(queue);
    if (err < 0)
        return err;
    struct serve serve = {.queue = queue, .pool = pool, .fn = fn, .arg = arg, .ctx = ctx};
    list_init(&serve.ready);
    list_init(&serve.ended);
    list_init(&serve.hand);
    list_init(&serve.batches);
    err = pool == NULL || fn == NULL ? -EINVAL : settle(&serve.options, options, pool);
    if (err == 0 && weir_pool_current() == pool)
        err = -EDEADLK;
    if (err < 0) {
        (void)weir__fail_code(queue, err);
    } else {
        serve.most_in_hand = serve.options.slots + (size_t)serve.options.batch;
        serve.at_pool_most = serve.options.slots >= weir_pool_workers(pool)
                                 ? (unsigned)serve.most_in_hand
                                 : serve.options.slots;
        name_worker(&serve);
        err = serve_until_over(&serve);
    }
    weir__queue_leave(queue);
    return err;
}
