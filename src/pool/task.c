/* SPDX-License-Identifier: MIT */
/* task.c - handles: submit, wait, cancel.
 *
 * word: the public state in the low byte, SUBMITTING while a thread tries to queue the task (then
 * the low byte is still the state before). Who may change it:
 *   IDLE or an end -> SUBMITTING   a submitter, by CAS: one of several wins
 *   SUBMITTING -> QUEUED           that submitter, before the push; it touches nothing after it
 *   QUEUED -> SUBMITTING           that submitter, if the push failed and it claimed the task back
 *   SUBMITTING -> what it was      that submitter, if the task is refused
 *   QUEUED -> RUNNING -> an end    who claimed the task in its slot (pool/slab.h)
 *   QUEUED -> an end               likewise
 * The change to an end is the last access to the handle (E1), after which the waiter may free it.
 *
 * `cancelled` is the flag of the context that the task sees. A canceller first tries to claim the
 * task; if somebody else has it, it raises the flag.
 *
 * A delayed task is QUEUED from the start. Who runs it without a ticket keeps to `not_before`, and
 * who ends it as expired to `start_by`: both are read after the claim that they belong to (E5). One
 * that repeats goes from RUNNING back to QUEUED, by who ran it, under the timers' lock and only if
 * it was not cancelled. A canceller raises the flag, then takes that lock: either its flag was
 * seen, or it sees the task queued and can claim it.
 *
 * Edges: E1 change to an end (seq_cst) -> E2 a wait's or an observer's load: what the task did, and
 * its status. E3 QUEUED (release) -> E4 load: where the task is queued. E5 claim (release) -> E6
 * load: not_before and start_by.
 */
#include "weir/task.h"

#include <errno.h>
#include <limits.h>

#include "base/deadline.h"
#include "base/options.h"
#include "pool/pool.h"

enum { SUBMITTING = 0x100, STATE = 0xff };

struct __attribute__((may_alias)) task {
    atomic(uint32_t) word;
    atomic(uint32_t) cancelled;
    atomic(int) status;
    uint32_t before;       /* of the submitter: the word to go back to if the task is refused */
    atomic(uint32_t) fork; /* fork_count() at the last submit */
    atomic(uint32_t) repetition; /* how it repeats, see timers.h */
    atomic(uint64_t) claim;      /* while queued: takes it; it names the slot too */
    atomic(weir_pool *) pool;
    atomic(int64_t) start_by; /* the earlier of the option and the context's deadline */
    int64_t timeout;          /* from here on: of the submitter, then of who claimed the task */
    weir_done_fn *on_done;
    void *arg;
    const char *name;
    struct reports *reports;    /* where it is reported, with a place reserved; or NULL */
    atomic(int64_t) not_before; /* time of the next run; 0: at once */
    int64_t period;             /* of a periodic one */
    atomic(int) cause;          /* what the last run that failed and could be repeated returned */
};

_Static_assert(sizeof(struct task) <= sizeof(weir_task), "fits");

static weir_state state_in(uint32_t word)
{
    return (weir_state)(word & STATE);
}

static bool over(uint32_t word)
{
    return state_in(word) >= WEIR_TASK_DONE;
}

/* Was it submitted in the parent process? */
static bool inherited(const struct task *task)
{
    return load_rlx(&task->fork) != fork_count();
}

weir_state weir_task_state(const weir_task *handle)
{
    const struct task *task = (const struct task *)handle;
    return task != NULL ? state_in(load_acq(&task->word)) : WEIR_TASK_IDLE; /* E2 */
}

int weir_task_status(const weir_task *handle)
{
    const struct task *task = (const struct task *)handle;
    uint32_t word = task != NULL ? load_acq(&task->word) : WEIR_TASK_IDLE; /* E2 */
    if (state_in(word) == WEIR_TASK_IDLE)
        return -EINVAL;
    return over(word) ? load_rlx(&task->status) : -EINPROGRESS;
}

/* Who waits for any of several tasks is entered under this address, with a task_wait. */
static const char any_of_several;

struct task_wait {
    weir_task *const *tasks; /* NULL elements are left out */
    size_t n;
    bool helps;      /* this thread may run a task that has not started */
    int64_t event;   /* when the next one can be run here, or expires */
    int64_t passed;  /* the last such time, says the timer; the clock may lag behind it */
    size_t index;    /* of the task that is over or refused; or n */
    uint32_t word;   /* of that one */
    weir_pool *pool; /* of the claimed one, or NULL */
    struct job job;
};

static bool is_among(const struct waiter *waiter, const void *task)
{
    const struct task_wait *wait = waiter->arg;
    for (size_t i = 0; i < wait->n; i++)
        if (wait->tasks[i] == task)
            return true;
    return false;
}

/* Only the address: the task may be gone. */
void weir__task_wake(const void *task)
{
    weir__wake_all(task);
    weir__wake_matching(&any_of_several, is_among, task);
}

/* What the pool asks and tells while it has the task. */

void weir__task_running(void *object)
{
    struct task *task = object;
    store_rel(&task->word, WEIR_TASK_RUNNING);
}

atomic(uint32_t) *weir__task_flag(void *object)
{
    return &((struct task *)object)->cancelled;
}

int64_t weir__task_timeout(const void *object)
{
    return ((const struct task *)object)->timeout;
}

void weir__task_tell(void *object, weir_state end, int status)
{
    struct task *task = object;
    store_rlx(&task->status, status); /* published by E1 */
    if (task->on_done != NULL)
        task->on_done(task->arg, end, status);
}

void weir__task_over(void *object, weir_state end)
{
    struct task *task = object;
    struct reports *reports = task->reports;
    (void)xchg_seqcst(&task->word, (uint32_t)end); /* E1 */
    weir__task_wake(object);
    if (reports != NULL)
        reports->ended(reports, object);
}

void weir__task_queued(void *object, uint64_t claim)
{
    struct task *task = object;
    store_rel(&task->claim, claim);           /* E5 */
    store_rel(&task->word, WEIR_TASK_QUEUED); /* E3 */
}

void weir__task_waits(void *object, uint64_t claim, int64_t at)
{
    struct task *task = object;
    store_rlx(&task->not_before, at); /* published by E5 */
    store_rel(&task->claim, claim);   /* E5 */
    /* E3; seq_cst: of who waits for it and who wakes it up to run it, one sees the other. */
    (void)xchg_seqcst(&task->word, WEIR_TASK_QUEUED);
}

void weir__task_set_repetition(void *object, uint32_t repetition)
{
    store_rlx(&((struct task *)object)->repetition, repetition); /* published by E3 */
}

uint32_t weir__task_repetition(const void *object)
{
    return load_rlx(&((const struct task *)object)->repetition); /* constant while it is live */
}

bool weir__task_repeats(const void *object, int status)
{
    uint32_t repetition = weir__task_repetition(object);
    return repetition != 0 && ((repetition & REPETITION_ON_FAILURE) != 0) == (status != 0);
}

void weir__task_set_cause(void *object, int status)
{
    store_rlx(&((struct task *)object)->cause, status); /* published by E1, E3 */
}

int weir_task_cause(const weir_task *handle)
{
    const struct task *task = (const struct task *)handle;
    /* Relaxed, both: nobody learns here how far the task is. Who knows that sees the cause. */
    if (task == NULL || state_in(load_rlx(&task->word)) == WEIR_TASK_IDLE)
        return 0;
    return load_rlx(&task->cause);
}

bool weir__task_cancelled(void *object)
{
    return load_rlx(&((struct task *)object)->cancelled) != 0; /* the lock orders it */
}

/* The first multiple of the period that is still to come, from when the last run was due. */
int64_t weir__task_next_time(void *object)
{
    struct task *task = object;
    int64_t due = load_rlx(&task->not_before); /* ours */
    int64_t now = weir_now();
    if (now < due) /* the timer said that its time had come; the clock may lag behind it */
        now = due;
    uint64_t late = (uint64_t)now - (uint64_t)due;
    int64_t last = now - (int64_t)(late % (uint64_t)task->period);
    store_rlx(&task->start_by, WEIR_FOREVER); /* it has started; published by E5 */
    bool fits = last < 0 || task->period < WEIR_FOREVER - last;
    return fits ? last + task->period : WEIR_FOREVER;
}

void weir__task_refused(void *object)
{
    struct task *task = object;
    store_rel(&task->word, SUBMITTING | task->before);
}

/* Submitting. */

void weir_task_options_init(weir_task_options *options)
{
    if (options != NULL)
        *options = (weir_task_options){.size = sizeof *options};
}

/* Takes the handle for this submit. Returns 0 or -EBUSY. */
static int reserve(struct task *task)
{
    uint32_t word = load_rlx(&task->word); /* the CAS checks it */
    do
        if ((word & SUBMITTING) != 0 || (state_in(word) != WEIR_TASK_IDLE && !over(word)))
            return -EBUSY;
    while (!cas_acq(&task->word, &word, word | SUBMITTING)); /* E2: the last run is over */
    task->before = word;
    return 0;
}

/* How a task enters the pool. */
struct entry {
    enum submit_mode mode;
    weir_context *ctx;
    int64_t deadline;
    bool timed; /* then from here on, else from above */
    int64_t at, period;
    const struct repeat *repeat; /* or NULL */
};

/* Can the task start in time? */
static bool too_late(const struct entry *entry, int64_t start_by)
{
    return start_by != WEIR_FOREVER &&
           (start_by <= weir_now() || (entry->timed && start_by <= entry->at));
}

static int enter(weir_pool *pool, const struct job *job, const struct entry *entry)
{
    if (!entry->timed) /* to wait for room beyond start_by is of no use */
        return weir__submit(pool, job, entry->mode, entry->ctx,
                            earlier(entry->deadline, job->start_by));
    int err = weir__refusal(pool);
    if (err == 0)
        err = weir__timer_add(pool, job, entry->at, entry->period != 0);
    if (err != 0)
        add_rlx(&pool->rejected, 1); /* a count, read at rest */
    return err;
}

static int submit_reserved(weir_pool *pool, struct task *task, weir_task_fn *fn, void *arg,
                           const weir_task_options *options, const struct entry *entry)
{
    struct job job = {.fn = fn, .arg = arg, .owner = owner_of(task, OWNER_TASK)};
    job.start_by = options->start_by != 0 ? options->start_by : WEIR_FOREVER;
    if (too_late(entry, job.start_by)) {
        add_rlx(&pool->rejected, 1);
        return -ETIMEDOUT;
    }
    if (entry->ctx != NULL) {
        job.context = weir_context_ref(entry->ctx);
        if (job.context == NULL)
            return -ENOMEM;
        job.start_by = earlier(job.start_by, weir_context_deadline(entry->ctx));
    }
    store_rlx(&task->cancelled, 0); /* these are published by E3, and the times by E5 */
    store_rlx(&task->pool, pool);
    store_rlx(&task->fork, fork_count());
    store_rlx(&task->repetition, 0);
    store_rlx(&task->cause, 0);
    store_rlx(&task->start_by, job.start_by);
    store_rlx(&task->not_before, 0);
    task->timeout = options->timeout;
    task->on_done = options->on_done;
    task->arg = arg;
    task->name = options->name;
    task->reports = (struct reports *)options->completion;
    task->period = entry->period;
    uint32_t repetition = 0;
    if (entry->repeat != NULL && (repetition = weir__repeat_keep(pool, entry->repeat, &job)) != 0)
        weir__task_set_repetition(task, repetition);
    int err = enter(pool, &job, entry);
    if (err != 0)
        weir__drop_context(pool, &job); /* the task may have been in the queue */
    if (err != 0 && repetition != 0)
        weir__repetition_end(pool, repetition);
    return err;
}

static int submit_task(weir_pool *pool, weir_task *handle, weir_task_fn *fn, void *arg,
                       const weir_task_options *given, const struct entry *entry)
{
    if (pool == NULL || handle == NULL || fn == NULL)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    weir_task_options options;
    int err = read_options(&options, sizeof options,
                           offsetof(weir_task_options, on_done) + sizeof options.on_done, given);
    if (err != 0)
        return err;
    if (options.start_by < 0 || options.timeout < 0)
        return -EINVAL;
    if ((err = weir_context_err(entry->ctx)) != 0) {
        add_rlx(&pool->rejected, 1);
        return err;
    }
    struct task *task = (struct task *)handle;
    if ((err = reserve(task)) != 0) {
        add_rlx(&pool->rejected, 1);
        return err;
    }
    int status = load_rlx(&task->status), cause = load_rlx(&task->cause);
    struct reports *reports = (struct reports *)options.completion;
    if (reports != NULL && (err = reports->reserve(reports)) != 0) {
        add_rlx(&pool->rejected, 1);
    } else {
        err = submit_reserved(pool, task, fn, arg, &options, entry);
        if (err != 0 && reports != NULL)
            reports->give_back(reports);
    }
    if (err != 0) {
        store_rlx(&task->status, status);
        store_rlx(&task->cause, cause);
        (void)xchg_seqcst(&task->word, task->before); /* for who met it while it was tried */
        weir__task_wake(task);
    }
    return err;
}

int weir_pool_submit_task(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                          const weir_task_options *options)
{
    struct entry entry = {.mode = SUBMIT_POLICY, .deadline = WEIR_FOREVER};
    return submit_task(pool, task, fn, arg, options, &entry);
}

int weir_pool_try_submit_task(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                              const weir_task_options *options)
{
    struct entry entry = {.mode = SUBMIT_TRY, .deadline = WEIR_FOREVER};
    return submit_task(pool, task, fn, arg, options, &entry);
}

int weir_pool_submit_task_until(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                                const weir_task_options *options, weir_context *ctx,
                                int64_t deadline)
{
    struct entry entry = {.mode = SUBMIT_POLICY, .ctx = ctx, .deadline = deadline};
    return submit_task(pool, task, fn, arg, options, &entry);
}

int weir__submit_task_at(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                         const weir_task_options *options, int64_t at, int64_t period)
{
    struct entry entry = {.timed = true, .at = at, .period = period};
    return submit_task(pool, task, fn, arg, options, &entry);
}

int weir__submit_task_repeating(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                                const weir_task_options *options, const struct repeat *repeat)
{
    struct entry entry = {.mode = SUBMIT_POLICY, .deadline = WEIR_FOREVER, .repeat = repeat};
    return submit_task(pool, task, fn, arg, options, &entry);
}

/* Waiting and cancelling. */

/* What a task is taken for, and when it may be. */
enum purpose { TO_CANCEL, TO_RUN, TO_EXPIRE };

/* `passed` is a time that has passed, even if the clock does not say so. */
static bool may_take(const struct task *task, enum purpose purpose, int64_t passed)
{
    int64_t from = 0;
    if (purpose == TO_RUN)
        from = load_rlx(&task->not_before);
    else if (purpose == TO_EXPIRE)
        from = load_rlx(&task->start_by);
    return from <= 0 || from <= passed || from <= weir_now();
}

/* Takes a queued task out of turn. False: it is not queued, it is not time, or somebody else has
 * it. */
static bool claim(weir_pool *pool, struct task *task, enum purpose purpose, int64_t passed,
                  struct job *ret)
{
    if (load_rlx(&task->word) !=
        WEIR_TASK_QUEUED) /* a hint: E6, and the CAS of the claim, decide */
        return false;
    /* If the handle is submitted again meanwhile, to whatever pool, this claim takes nothing. */
    uint64_t queued = load_acq(&task->claim);                 /* E6 */
    if (claim_index(queued) >= load_acq(&pool->slab.count) || /* A13 */
        !may_take(task, purpose, passed))
        return false;
    struct slot *slot = &pool->slab.slots[claim_index(queued)];
    slot_read(slot, ret);
    return ret->owner == owner_of(task, OWNER_TASK) &&
           weir__take_out_of_turn(pool, slot, queued); /* R12 */
}

static struct task *waited_for(const struct task_wait *wait, size_t i)
{
    return (struct task *)wait->tasks[i];
}

/* When the next of the queued tasks can be run here, or expires, after what has passed. */
static int64_t next_event(const struct task_wait *wait)
{
    int64_t next = WEIR_FOREVER;
    for (size_t i = 0; i < wait->n; i++) {
        const struct task *task = waited_for(wait, i);
        if (task == NULL || load_acq(&task->word) != WEIR_TASK_QUEUED) /* E4: its pool */
            continue; /* the times are hints: claim() looks again, and over_or_claimed() did */
        int64_t start_by = load_rlx(&task->start_by);
        int64_t not_before = load_rlx(&task->not_before);
        if (start_by > wait->passed)
            next = earlier(next, start_by);
        if (wait->helps && not_before > wait->passed && not_before != 0 &&
            weir__helped(load_rlx(&task->pool)) != NULL)
            next = earlier(next, not_before);
    }
    return next;
}

static bool ended(uint32_t word)
{
    return over(word) || word == WEIR_TASK_IDLE; /* the latter: its submit was refused */
}

static bool over_or_claimed(void *arg)
{
    struct task_wait *wait = arg;
    for (wait->index = 0; wait->index < wait->n; wait->index++) {
        const struct task *task = waited_for(wait, wait->index);
        wait->word = task != NULL ? load_seqcst(&task->word) : WEIR_TASK_QUEUED; /* E2 */
        if (ended(wait->word))
            return true;
    }
    for (size_t i = 0; wait->helps && i < wait->n; i++) {
        struct task *task = waited_for(wait, i);
        if (task == NULL || load_acq(&task->word) != WEIR_TASK_QUEUED) /* E4: its pool */
            continue;
        weir_pool *helped = weir__helped(load_rlx(&task->pool));
        if (helped != NULL && claim(helped, task, TO_RUN, wait->passed, &wait->job)) {
            wait->pool = helped;
            return true;
        }
    }
    return next_event(wait) < wait->event; /* a task that repeats has got another time */
}

/* Ends those that are still queued at their `start_by`. */
static void expire(struct task_wait *wait)
{
    for (size_t i = 0; i < wait->n; i++) {
        struct task *task = waited_for(wait, i);
        if (task == NULL || load_rlx(&task->start_by) > wait->passed) /* claim() looks again */
            continue;
        weir_pool *pool = load_rlx(&task->pool);
        if (claim(pool, task, TO_EXPIRE, wait->passed, &wait->job))
            weir__end_unstarted(pool, &wait->job, WEIR_TASK_EXPIRED);
    }
}

/* Until one of the tasks is over: runs one that is queued if this thread may and it is time; ends
 * those that expire. Each event is seen once: what is queued after it, somebody else has. */
static int wait_for(struct task_wait *wait, const void *key, weir_context *ctx, int64_t deadline)
{
    int64_t end = earlier(deadline, weir_context_deadline(ctx));
    wait->passed = INT64_MIN;
    for (;;) {
        /* Not when the deadline has passed: a task may take long. */
        wait->helps = deadline == WEIR_FOREVER || deadline > weir_now();
        wait->pool = NULL;
        wait->event = next_event(wait);
        int err =
            weir__wait_until(key, over_or_claimed, wait, ctx, NULL, earlier(deadline, wait->event));
        if (wait->pool != NULL) {
            weir__run(wait->pool, &wait->job, 0);
        } else if (err == -ETIMEDOUT && wait->event < end && weir_context_err(ctx) == 0) {
            wait->passed = wait->event;
            expire(wait);
        } else if (err != 0 || wait->index < wait->n) {
            return err == 0 && wait->word == WEIR_TASK_IDLE ? -EINVAL : err;
        }
    }
}

int weir_task_wait_until(weir_task *handle, weir_context *ctx, int64_t deadline)
{
    struct task *task = (struct task *)handle;
    if (task == NULL)
        return -EINVAL;
    uint32_t word = load_acq(&task->word); /* E2; the looks that end the wait come later */
    if (state_in(word) == WEIR_TASK_IDLE)
        return -EINVAL;
    int err = weir_context_err(ctx);
    if (err != 0 || over(word))
        return err;
    if (inherited(task))
        return -ESTALE;
    if (weir__inside_owner(owner_of(task, OWNER_TASK)))
        return -EDEADLK;
    struct task_wait wait = {.tasks = &handle, .n = 1};
    return wait_for(&wait, task, ctx, deadline);
}

int weir_task_wait(weir_task *task)
{
    return weir_task_wait_until(task, NULL, WEIR_FOREVER);
}

int weir_task_try_wait(weir_task *handle)
{
    const struct task *task = (const struct task *)handle;
    uint32_t word = task != NULL ? load_acq(&task->word) : WEIR_TASK_IDLE; /* E2 */
    if (state_in(word) == WEIR_TASK_IDLE)
        return -EINVAL;
    if (over(word))
        return 0;
    return inherited(task) ? -ESTALE : -EAGAIN;
}

/* Finds a task that is over. Returns 0 with its index, or why there is none: -EAGAIN, or
 * -EDEADLK if the caller is inside each of them. */
static int find_over(weir_task *const tasks[], size_t n, const weir_context *ctx, size_t *ret_index)
{
    size_t found = n, live = 0, own = 0;
    bool stale = false;
    for (size_t i = 0; tasks != NULL && i < n; i++) {
        const struct task *task = (const struct task *)tasks[i];
        if (task == NULL)
            continue;
        uint32_t word = load_acq(&task->word); /* E2, E4 */
        if (state_in(word) == WEIR_TASK_IDLE)
            return -EINVAL;
        live++;
        if (over(word) && found == n)
            found = i;
        else if (inherited(task))
            stale = true;
        else if (weir__inside_owner(owner_of(task, OWNER_TASK)))
            own++;
    }
    int err = weir_context_err(ctx);
    if (live == 0)
        return -EINVAL;
    if (err != 0)
        return err;
    if (found == n)
        return stale ? -ESTALE : own == live ? -EDEADLK : -EAGAIN;
    *ret_index = found;
    return 0;
}

/* An index, which an int must hold, or an error. */
static int any_result(int err, size_t index)
{
    return err != 0 ? err : (int)index;
}

int weir_task_wait_any_until(weir_task *const tasks[], size_t n, weir_context *ctx,
                             int64_t deadline)
{
    struct task_wait wait = {.tasks = tasks, .n = n};
    int err = n <= INT_MAX ? find_over(tasks, n, ctx, &wait.index) : -EINVAL;
    if (err == -EAGAIN)
        err = wait_for(&wait, &any_of_several, ctx, deadline);
    return any_result(err, wait.index);
}

int weir_task_wait_any(weir_task *const tasks[], size_t n)
{
    return weir_task_wait_any_until(tasks, n, NULL, WEIR_FOREVER);
}

int weir_task_try_wait_any(weir_task *const tasks[], size_t n)
{
    size_t index = 0;
    int err = n <= INT_MAX ? find_over(tasks, n, NULL, &index) : -EINVAL;
    return any_result(err == -EDEADLK ? -EAGAIN : err, index);
}

int weir_task_cancel(weir_task *handle)
{
    struct task *task = (struct task *)handle;
    uint32_t word = task != NULL ? load_acq(&task->word) : WEIR_TASK_IDLE; /* E2, E4 */
    if (state_in(word) == WEIR_TASK_IDLE)
        return -EINVAL;
    if (over(word))
        return -EALREADY;
    weir_pool *pool = load_rlx(&task->pool);
    if (inherited(task))
        return -ESTALE;
    struct job job;
    if (claim(pool, task, TO_CANCEL, INT64_MIN, &job)) {
        weir__end_unstarted(pool, &job, WEIR_TASK_CANCELLED);
        return 0;
    }
    if (over(load_acq(&task->word))) /* E2 */
        return -EALREADY;
    (void)or_seqcst(&task->cancelled, 1);
    if (weir__task_repetition(task) != 0) {
        weir__timer_fence(pool); /* it does not repeat from now on, or is queued already */
        if (claim(pool, task, TO_CANCEL, INT64_MIN, &job)) {
            weir__end_unstarted(pool, &job, WEIR_TASK_CANCELLED);
            return 0;
        }
    }
    weir__context_task_cancelled(&task->cancelled);
    return -EINPROGRESS;
}
