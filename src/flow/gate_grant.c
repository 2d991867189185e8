/* SPDX-License-Identifier: MIT */
/* gate_grant.c - what a task needs to be let in: permits, tokens, a ticket of the breaker.
 *
 * One thread looks at a time; it alone takes tokens and tickets, and asks for permits. No lock is
 * held meanwhile. See gate.c.
 */
#include "flow/gate_grant.h"

#include <errno.h>

#include "base/deadline.h"
#include "flow/breaker.h"
#include "flow/limiter.h"

static void give_permits(struct whole_gate *gate)
{
    lock_acquire(&gate->lock);
    bool permitted = gate->permitted;
    gate->permitted = false;
    lock_release(&gate->lock);
    if (permitted && gate->semaphore != NULL)
        weir_semaphore_release(gate->semaphore, gate->permits);
}

bool weir__gate_get_permits(struct whole_gate *gate)
{
    lock_acquire(&gate->lock);
    bool permitted = gate->permitted, asked = gate->asked;
    gate->asked = asked || (!permitted && gate->semaphore != NULL);
    lock_release(&gate->lock);
    if (permitted || asked)
        return permitted;
    if (gate->semaphore != NULL &&
        !weir__semaphore_ask(gate->semaphore, gate->permits, &gate->request))
        return false;
    lock_acquire(&gate->lock);
    gate->asked = false;
    gate->permitted = true;
    lock_release(&gate->lock);
    return true;
}

bool weir__gate_get_tokens(struct whole_gate *gate, int64_t *ret_at)
{
    if (gate->limiter == NULL)
        return true;
    int64_t now = weir_now();
    if (!gate->paid) {
        int64_t wait =
            weir__limiter_take(gate->limiter, gate->tokens, now, INT64_MAX, &gate->taken);
        if (wait < 0) { /* the rate is 0; or others have reserved hours ahead */
            *ret_at = wait == -EDEADLK ? WEIR_FOREVER : time_after(now, WEIR_S(60));
            give_permits(gate);
            return false;
        }
        gate->paid = true;
        gate->due = time_after(now, wait);
    }
    *ret_at = gate->due;
    return gate->due <= now;
}

bool weir__gate_get_ticket(struct whole_gate *gate, uint64_t *ret_ticket, int64_t *ret_at)
{
    int64_t now = weir_now();
    if (gate->breaker == NULL || weir_breaker_allow_at(gate->breaker, ret_ticket, now) == 0)
        return true;
    *ret_at = weir__breaker_ask_again(gate->breaker, now);
    give_permits(gate);
    return false;
}

void weir__gate_settle(struct whole_gate *gate)
{
    lock_acquire(&gate->lock);
    bool asked = gate->asked;
    lock_release(&gate->lock);
    if (asked && weir__semaphore_withdraw(gate->semaphore, &gate->request)) {
        lock_acquire(&gate->lock);
        gate->asked = false;
        lock_release(&gate->lock);
    }
    give_permits(gate);
    if (gate->paid)
        weir__limiter_give_back(gate->limiter, gate->taken);
    gate->paid = false;
}

void weir__gate_give_back(struct whole_gate *gate, const struct grant *grant, bool started,
                          int status)
{
    if (grant->ticket != 0)
        weir_breaker_record(gate->breaker, grant->ticket, started ? status : -ECANCELED);
    if (gate->limiter != NULL && !started)
        weir__limiter_give_back(gate->limiter, grant->taken);
    if (gate->semaphore != NULL)
        weir_semaphore_release(gate->semaphore, gate->permits);
}
