/* SPDX-License-Identifier: MIT */
/* admission.c - which requests are let in: a bounded queue, and shedding by delay. */
#include "inside.h"

#include <stdlib.h>

/* Shedding ends later than it begins: a gap in the load is not its end, and what comes after the
 * gap would fill the queue. */
enum { CALM_INTERVALS = 10 };

/* One that has left the queue moves the head on; the order in which two workers count theirs does
 * not matter, for nobody asks which of them it was. */
static void leave_queue(struct crew *crew)
{
    atomic_fetch_add_explicit(&crew->started, 1, memory_order_relaxed);
}

static int run_request(weir_context *ctx, void *arg)
{
    (void)ctx; /* a child of the request's, which is what handlers are given */
    struct request *request = arg;
    struct crew *crew = request->crew;
    leave_queue(crew);
    request->started = weir_now();
    run_chain(request);
    request->ended = weir_now();
    int64_t took = request->ended - request->started;
    int64_t mean = atomic_load_explicit(&crew->run_ns, memory_order_relaxed);
    /* Two workers may overwrite each other's: it is an estimate. */
    atomic_store_explicit(&crew->run_ns, mean + (took - mean) / 16, memory_order_relaxed);
    if (request_take_answer(request, DONE))
        loop_resume(&request->service->loop, request->connection);
    request_unref(request);
    return 0;
}

/* Its time was over before a worker took it: it has been answered, or is just being. */
static void drop_request(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)why;
    leave_queue(user);
    request_unref(arg);
}

static const char *name_request(weir_task_fn *fn, void *arg, void *user)
{
    (void)fn;
    (void)user;
    const struct request *request = arg;
    return request->route->pattern;
}

int crew_new(struct crew **ret, unsigned workers, unsigned capacity)
{
    struct crew *crew = calloc(1, sizeof *crew);
    if (crew == NULL)
        return -ENOMEM;
    int err = weir_pool_new(&crew->pool,
                            WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity,
                                              .name = "request", .overflow = WEIR_OVERFLOW_REJECT,
                                              .on_drop = drop_request, .name_of = name_request,
                                              .user = crew, .measure = WEIR_MEASURE_ALL));
    if (err != 0) {
        free(crew);
        return err;
    }
    crew->workers = weir_pool_workers(crew->pool);
    crew->capacity = capacity;
    uint64_t room = 1;
    while (room < capacity + crew->workers) /* a worker counts its task a moment after it took it */
        room *= 2;
    crew->mask = room - 1;
    crew->times = calloc(room, sizeof *crew->times);
    if (crew->times == NULL) {
        crew_free(crew);
        return -ENOMEM;
    }
    *ret = crew;
    return 0;
}

void crew_free(struct crew *crew)
{
    if (crew == NULL)
        return;
    weir_pool_free(crew->pool);
    free(crew->times);
    free(crew);
}

int admission_init(struct admission *admission, unsigned workers, unsigned capacity)
{
    pthread_mutex_init(&admission->lock, NULL);
    return crew_new(&admission->crew, workers, capacity);
}

void admission_destroy(struct admission *admission)
{
    crew_free(admission->crew);
    pthread_mutex_destroy(&admission->lock);
}

struct crew *admission_change(struct admission *admission, struct crew *crew, int64_t target,
                              int64_t interval, int shed)
{
    struct crew *old = NULL;
    pthread_mutex_lock(&admission->lock);
    if (crew != NULL) {
        old = admission->crew;
        admission->crew = crew;
    }
    admission->target = target;
    admission->interval = interval;
    admission->shed = shed;
    admission->above_since = admission->refused_at = 0;
    pthread_mutex_unlock(&admission->lock);
    return old;
}

static int64_t head_age_locked(const struct admission *admission, int64_t now)
{
    const struct crew *crew = admission->crew;
    uint64_t head = atomic_load_explicit(&crew->started, memory_order_relaxed);
    return head >= crew->submitted ? 0 : now - crew->times[head & crew->mask];
}

static int64_t expected_wait_locked(const struct admission *admission)
{
    const struct crew *crew = admission->crew;
    int64_t run_ns = atomic_load_explicit(&crew->run_ns, memory_order_relaxed);
    return (int64_t)weir_pool_queued(crew->pool) * run_ns / crew->workers;
}

/* Looks at the head, and says whether this is a time of shedding. */
static bool is_shedding_locked(struct admission *admission, int64_t age, int64_t now)
{
    if (age <= admission->target)
        admission->above_since = 0;
    else if (admission->above_since == 0)
        admission->above_since = now;
    if (admission->refused_at != 0 &&
        now - admission->refused_at > CALM_INTERVALS * admission->interval)
        admission->refused_at = 0;
    return admission->refused_at != 0 ||
           (admission->above_since != 0 && now - admission->above_since > admission->interval);
}

static enum verdict judge_locked(struct admission *admission, int64_t now)
{
    const struct crew *crew = admission->crew;
    if (weir_pool_queued(crew->pool) >= crew->capacity)
        return REFUSED_FULL;
    int64_t age = head_age_locked(admission, now);
    if (!is_shedding_locked(admission, age, now) || !admission->shed ||
        (age <= admission->target && expected_wait_locked(admission) <= admission->target))
        return ADMITTED;
    admission->refused_at = now;
    return REFUSED_DELAY;
}

static enum verdict note(struct admission *admission, enum verdict verdict)
{
    atomic_fetch_add_explicit(&admission->verdicts[verdict], 1, memory_order_relaxed);
    return verdict;
}

enum verdict admission_ask(struct admission *admission, int64_t now)
{
    pthread_mutex_lock(&admission->lock);
    enum verdict verdict = judge_locked(admission, now);
    pthread_mutex_unlock(&admission->lock);
    return verdict == ADMITTED ? verdict : note(admission, verdict);
}

enum verdict admission_submit(struct admission *admission, struct request *request)
{
    pthread_mutex_lock(&admission->lock);
    struct crew *crew = admission->crew;
    request->crew = crew;
    request->queued = weir_now();
    int err =
        weir_pool_submit_until(crew->pool, run_request, request, request->context, WEIR_FOREVER);
    if (err == 0)
        crew->times[crew->submitted++ & crew->mask] = weir_now();
    pthread_mutex_unlock(&admission->lock);
    return note(admission, err == 0 ? ADMITTED : err == -EAGAIN ? REFUSED_FULL : REFUSED_CLOSED);
}

int64_t admission_expected_wait(struct admission *admission)
{
    pthread_mutex_lock(&admission->lock);
    int64_t age = head_age_locked(admission, weir_now());
    int64_t wait = expected_wait_locked(admission);
    pthread_mutex_unlock(&admission->lock);
    return age > wait ? age : wait;
}

void admission_read(struct admission *admission, struct admission_state *ret)
{
    int64_t now = weir_now();
    pthread_mutex_lock(&admission->lock);
    ret->queued = weir_pool_queued(admission->crew->pool);
    ret->workers = admission->crew->workers;
    ret->capacity = admission->crew->capacity;
    ret->head_age = head_age_locked(admission, now);
    ret->shedding = admission->refused_at != 0 &&
                    now - admission->refused_at <= CALM_INTERVALS * admission->interval;
    pthread_mutex_unlock(&admission->lock);
}

int admission_with_pool(struct admission *admission, int (*fn)(weir_pool *pool, void *arg),
                        void *arg)
{
    pthread_mutex_lock(&admission->lock);
    int err = fn(admission->crew->pool, arg);
    pthread_mutex_unlock(&admission->lock);
    return err;
}
