/* SPDX-License-Identifier: MIT */
/* blocking.c - what a task says of the calls in which it blocks. What becomes of it is in size.h.
 */
#include "weir/blocking.h"

#include "base/assert.h"
#include "pool/pool.h"
#include "record/notes.h"

/* Of the calling thread, if it is a worker of a pool whose size may change; or NULL. */
static struct share *own_share(void)
{
    struct worker *worker = weir__own_worker();
    if (worker == NULL || worker->crew->size == NULL || host_stale(worker->crew->host))
        return NULL;
    return &worker->share;
}

/* Only what a worker says is shown: another thread that ended between the two would leave its note
 * behind. */
void weir_blocking_begin(void)
{
    struct self *self = this_thread();
    if (self->blocking++ > 0 || self->seat == NULL)
        return;
    note_block(TELL("weir_blocking_begin", NULL));
    struct share *share = own_share();
    if (share != NULL)
        (void)weir__size_block(share);
}

void weir_blocking_end(void)
{
    struct self *self = this_thread();
    if (self->blocking == 0)
        weir__misuse("weir_blocking_end", "there was no weir_blocking_begin before it.");
    if (--self->blocking > 0 || self->seat == NULL)
        return;
    note_unblock();
    struct share *share = own_share();
    if (share != NULL)
        weir__size_return(share, TELL("weir_blocking_end", own_pool()));
}
