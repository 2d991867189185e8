/* SPDX-License-Identifier: MIT */
/* gate.c - the gate: what lets tasks start one by one, without a thread that waits.
 *
 * Passes stand in `line`, the first task first. Something happens at a gate when a pass enters,
 * when permits are granted, when the time has come that the gate waits for (the alarm of its first
 * pass rings), when a pass leaves, or when the user says so. Each of these looks: it goes through
 * the steps for the first pass, lets it in, and goes on with the next, until one has to wait.
 *
 * One thread looks at a time (`looking`). Another one for which there is something to look at says
 * so (`again`) and leaves: the first one looks once more. So the semaphore, the limiter, the
 * breaker and the pool are called without a lock, and no two threads get permits for the same pass.
 *
 * What the first pass needs is the gate's until a pass is let in: permits (`permitted`), tokens
 * (`paid`, usable from `due` on). If the first pass leaves, the next one finds it. If none is left
 * it goes back. Only what a pass was let in with is its own, and goes back when it leaves.
 *
 * States of the permits: none -> asked -> permitted -> none. `request` stands in the semaphore's
 * line while `asked`. It is granted by the thread that gives permits, which is inside `granted`
 * until it has cleared `asked`; a withdrawal that comes too late leaves it to that. It may come
 * late: a thread that is inside `granted` already makes the calls one after the other.
 *
 * Lifetimes. A thread that looks calls the pool for the first pass without a lock (`held`); a pass
 * that leaves waits until it is not held any more. The gate itself may be destroyed once no task is
 * behind it: weir_gate_destroy waits until no thread looks and no request is being granted. The
 * last access of either is the release of the lock; what follows is a wake, which touches only the
 * address.
 *
 * No wake is lost: what has changed was written, or can be seen in the other objects, before the
 * lock was taken to begin a look or to set `again`; and a thread that looks clears `looking` only
 * under the lock, and only if `again` is not set.
 *
 * Lock: `lock` guards the line and everything that is not constant, but for `due` and `taken`,
 * which belong to the thread that looks. It is taken after the lock of the pool's places, and no
 * other is taken under it.
 */
#include "flow/gate_grant.h"

#include <errno.h>

#include "base/assert.h"
#include "base/options.h"
#include "flow/breaker.h"
#include "os/fork.h"
#include "pool/due.h"
#include "wait/wait.h"

static struct whole_gate *whole(struct job_gate *gate)
{
    return (struct whole_gate *)gate;
}

static struct grant *grant_of(struct pass *pass)
{
    return (struct grant *)pass->words;
}

/* Looking: who does. */

/* True: this thread has to look, after the unlock. */
static bool begin_locked(struct whole_gate *gate)
{
    if (gate->looking)
        gate->again = true;
    bool begins = !gate->looking;
    gate->looking = true;
    return begins;
}

/* False: there is more to look at. */
static bool end_look(struct whole_gate *gate)
{
    lock_acquire(&gate->lock);
    bool over = !gate->again;
    gate->again = false;
    if (over)
        gate->looking = false;
    lock_release(&gate->lock);
    return over;
}

/* The first pass, which does not leave until `let_go`; or NULL. */
static struct pass *hold_first(struct whole_gate *gate)
{
    lock_acquire(&gate->lock);
    bool any = !list_empty(&gate->line);
    struct pass *first = any ? container_of(gate->line.next, struct pass, link) : NULL;
    gate->held = first;
    lock_release(&gate->lock);
    return first;
}

static void leave_line_locked(struct whole_gate *gate, struct pass *pass)
{
    list_remove(&pass->link);
    gate->waiting--;
    pass->state = PASS_OUTSIDE;
}

/* `stays`: in the line. Else, with a grant, it has passed. */
static void let_go(struct whole_gate *gate, struct pass *pass, bool stays,
                   const struct grant *grant)
{
    lock_acquire(&gate->lock);
    if (!stays)
        leave_line_locked(gate, pass);
    if (grant != NULL) {
        pass->state = PASS_PASSED;
        *grant_of(pass) = *grant;
        gate->permitted = gate->paid = false;
    }
    gate->held = NULL;
    lock_release(&gate->lock);
    weir__wake_all(pass); /* only the address */
}

/* Has the first pass ring at `at`. True: there is none, or it is about to leave: go on. */
static bool wait_until(struct whole_gate *gate, int64_t at)
{
    struct pass *first = hold_first(gate);
    if (first == NULL)
        return true;
    bool waits = weir__due_ring_at(first, at);
    let_go(gate, first, waits, NULL);
    return !waits;
}

static bool let_first_in(struct whole_gate *gate, uint64_t ticket)
{
    struct grant grant = {.ticket = ticket, .taken = gate->taken};
    struct pass *first = hold_first(gate);
    bool in = first != NULL && weir__due_let_in(first);
    if (first != NULL)
        let_go(gate, first, false, in ? &grant : NULL);
    if (!in && ticket != 0)
        weir_breaker_record(gate->breaker, ticket, -ECANCELED);
    return true;
}

/* True: go on with the one that is first now. */
static bool step(struct whole_gate *gate)
{
    uint64_t ticket = 0;
    int64_t at;
    if (weir_gate_waiting((const weir_gate *)gate) == 0) {
        weir__gate_settle(gate);
        return false;
    }
    if (!weir__gate_get_permits(gate))
        return false; /* they will be granted */
    if (!weir__gate_get_tokens(gate, &at) || !weir__gate_get_ticket(gate, &ticket, &at))
        return wait_until(gate, at);
    return let_first_in(gate, ticket);
}

static void look(struct job_gate *handle)
{
    struct whole_gate *gate = whole(handle);
    do
        while (step(gate))
            continue;
    while (!end_look(gate));
    weir__wake_all(gate); /* only the address */
}

/* The thread that gave the permits. */
static void granted(struct semaphore_request *request)
{
    struct whole_gate *gate = container_of(request, struct whole_gate, request);
    lock_acquire(&gate->lock);
    gate->asked = false;
    gate->permitted = true;
    bool looks = begin_locked(gate);
    lock_release(&gate->lock);
    if (looks)
        look(&gate->gate);
}

/* What the pool calls. */

static void join_locked(struct job_gate *handle)
{
    struct whole_gate *gate = whole(handle);
    lock_acquire(&gate->lock);
    gate->tasks++;
    lock_release(&gate->lock);
}

static bool enter_locked(struct job_gate *handle, struct pass *pass)
{
    struct whole_gate *gate = whole(handle);
    lock_acquire(&gate->lock);
    bool first = list_empty(&gate->line);
    list_append(&gate->line, &pass->link);
    gate->waiting++;
    pass->state = PASS_WAITS;
    bool looks = first && begin_locked(gate); /* else what the first one waits for comes first */
    lock_release(&gate->lock);
    return looks;
}

static bool ring_locked(struct job_gate *handle)
{
    struct whole_gate *gate = whole(handle);
    lock_acquire(&gate->lock);
    bool looks = begin_locked(gate);
    lock_release(&gate->lock);
    return looks;
}

static bool not_held(void *arg)
{
    const struct pass *pass = arg;
    struct whole_gate *gate = whole(pass->gate);
    lock_acquire(&gate->lock);
    bool held = gate->held == pass;
    lock_release(&gate->lock);
    return !held;
}

static void leave(struct pass *pass, bool last, bool started, int status)
{
    struct whole_gate *gate = whole(pass->gate);
    lock_acquire(&gate->lock);
    while (gate->held == pass) {
        lock_release(&gate->lock);
        (void)weir__wait_until(TELL_NOTHING, pass, not_held, pass, NULL, NULL, WEIR_FOREVER);
        lock_acquire(&gate->lock);
    }
    enum pass_state was = pass->state;
    if (was == PASS_WAITS)
        leave_line_locked(gate, pass);
    pass->state = PASS_OUTSIDE;
    lock_release(&gate->lock);
    if (was == PASS_PASSED)
        weir__gate_give_back(gate, grant_of(pass), started, status);
    lock_acquire(&gate->lock);
    gate->tasks -= last;
    bool looks = was != PASS_OUTSIDE && begin_locked(gate);
    lock_release(&gate->lock); /* if this thread does not look, the gate may be gone from here on */
    if (looks)
        look(&gate->gate);
}

static const struct job_gate_ops ops = {
    .join_locked = join_locked,
    .enter_locked = enter_locked,
    .ring_locked = ring_locked,
    .look = look,
    .leave = leave,
};

/* Life. */

void weir_gate_options_init(weir_gate_options *options)
{
    if (options != NULL)
        *options = (weir_gate_options){.size = sizeof *options};
}

static int read_gate_options(weir_gate_options *ret, const weir_gate_options *given)
{
    return read_options(ret, sizeof *ret, offsetof(weir_gate_options, tokens) + sizeof ret->tokens,
                        given);
}

static const char *wrong_field(const weir_gate_options *options)
{
    uint32_t permits = weir_semaphore_permits(options->semaphore);
    uint32_t burst = weir_limiter_burst(options->limiter);
    if (options->semaphore != NULL && permits == 0)
        return "semaphore: never made";
    if (options->limiter != NULL && burst == 0)
        return "limiter: never made, or of burst 0";
    if (options->breaker != NULL && !weir__breaker_made(options->breaker))
        return "breaker: never made";
    if (options->permits > permits)
        return options->semaphore != NULL ? "permits: more than the semaphore has"
                                          : "permits: without a semaphore";
    if (options->tokens > burst)
        return options->limiter != NULL ? "tokens: more than the limiter's burst"
                                        : "tokens: without a limiter";
    return NULL;
}

const char *weir_gate_options_error(const weir_gate_options *given)
{
    weir_gate_options options;
    int err = read_gate_options(&options, given);
    return options_error(err, wrong_field(&options));
}

int weir_gate_init(weir_gate *handle, const weir_gate_options *given)
{
    struct whole_gate *gate = (struct whole_gate *)handle;
    if (gate == NULL)
        return -EINVAL;
    weir_gate_options options;
    int err = read_gate_options(&options, given);
    if (err == 0 && wrong_field(&options) != NULL)
        err = -EINVAL;
    if (err != 0)
        return err;
    *gate = (struct whole_gate){
        .gate = {.ops = &ops, .fork = fork_count()},
        .semaphore = options.semaphore,
        .limiter = options.limiter,
        .breaker = options.breaker,
        .permits = options.permits != 0 ? options.permits : 1,
        .tokens = options.tokens != 0 ? options.tokens : 1,
        .request.granted = granted,
    };
    lock_init(&gate->lock);
    list_init(&gate->line);
    return 0;
}

/* Made in this process, and in use. */
static bool live(const struct whole_gate *gate)
{
    return gate != NULL && gate->gate.ops != NULL && gate->gate.fork == fork_count();
}

static bool at_rest(void *arg)
{
    struct whole_gate *gate = arg;
    lock_acquire(&gate->lock);
    bool rests = !gate->looking && !gate->asked;
    lock_release(&gate->lock);
    return rests;
}

void weir_gate_destroy(weir_gate *handle)
{
    struct whole_gate *gate = (struct whole_gate *)handle;
    if (!live(gate))
        return;
    lock_acquire(&gate->lock);
    bool used = gate->tasks != 0;
    lock_release(&gate->lock);
    if (used)
        weir__misuse("weir_gate_destroy", "a task is behind the gate.");
    (void)weir__wait_until(TELL_NOTHING, gate, at_rest, gate, NULL, NULL, WEIR_FOREVER);
    gate->gate.ops = NULL;
}

void weir_gate_look(weir_gate *handle)
{
    struct whole_gate *gate = (struct whole_gate *)handle;
    if (live(gate) && ring_locked(&gate->gate))
        look(&gate->gate);
}

size_t weir_gate_waiting(const weir_gate *handle)
{
    struct whole_gate *gate = (struct whole_gate *)(uintptr_t)handle; /* for its lock */
    if (!live(gate))
        return 0;
    lock_acquire(&gate->lock);
    size_t waiting = gate->waiting;
    lock_release(&gate->lock);
    return waiting;
}
