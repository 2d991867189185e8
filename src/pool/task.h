/* SPDX-License-Identifier: MIT */
/* task.h - the states of a handle, and each way from one to another by name.
 *
 * `word` holds the public state in its low byte, and SUBMITTING while a thread tries to submit the
 * task (then the low byte is still the state before).
 *
 *   from                 to           by
 *   IDLE or an end       SUBMITTING   task_reserve: one of several submitters wins
 *   SUBMITTING           QUEUED       placed: that submitter, before the push
 *   QUEUED               SUBMITTING   withdrawn: that submitter, if the push failed and it claimed
 *                                     the task back
 *   SUBMITTING           before       weir__task_restore: the task is refused
 *   QUEUED               RUNNING      starts: the thread that claimed it in its slot (slot.h)
 *   SUBMITTING           RUNNING      starts: that submitter, which runs it inline
 *   RUNNING              QUEUED       placed: it repeats (task_repeat.c)
 *   any of these three   an end       weir__task_end: the thread that has it
 *   any of these three   SUBMITTING   task_reserve: that thread, in on_done, which goes on with it
 *
 * From `placed` on the submitter touches nothing of it: it may be gone. The change to an end is the
 * last access to the handle, which the waiter may free. If on_done goes on with the task, that is
 * left out, and the submit is what any other is.
 *
 * A task of a serial (serial_state.h) goes from SUBMITTING to QUEUED under the serial's mutex, and
 * lies in the serial's list instead of a slot.
 *
 * A delayed task is QUEUED from the start, and so is one at a gate. A thread that runs it without a
 * ticket keeps to `not_before`, one that ends it as expired to `start_by`: both are read after the
 * claim that they belong to.
 */
#ifndef WEIR_POOL_TASK_H
#define WEIR_POOL_TASK_H

#include "weir/task.h"

#include "pool/serial_state.h"

enum { SUBMITTING = 0x100, STATE = 0xff };

/* Where a task is reported besides to its waiters; the first field of a weir_completion. */
struct reports {
    int (*reserve)(struct reports *self);            /* before a submit: 0, -ENOBUFS, -ESTALE */
    void (*give_back)(struct reports *self);         /* it was refused */
    void (*ended)(struct reports *self, void *task); /* only the address: the task may be gone */
};

struct __attribute__((may_alias)) task {
    struct sink sink;
    atomic(uint32_t) word;
    atomic(uint32_t) cancelled; /* the flag of the context that the task sees */
    atomic(int) status;
    atomic(uint32_t) fork;    /* fork_count() at the last submit */
    atomic(int) cause;        /* what the last run that failed and could be repeated returned */
    float stuck_after;        /* ns; as good as exact, and half as long */
    atomic(uint64_t) claim;   /* while queued: takes it; it names the slot too. In a serial: its
                               function, and 0 once it was taken */
    atomic(uintptr_t) owner;  /* the pool; or the serial, and OF_SERIAL */
    atomic(int64_t) start_by; /* the earlier of the option and the context's deadline */
    int64_t timeout;          /* from here on: of the submitter, then of the thread that has it */
    weir_done_fn *on_done;
    void *arg;
    const char *name;
    struct reports *reports;    /* with a place reserved; or NULL */
    atomic(int64_t) not_before; /* time of the next run; 0: at once. In a serial: its stamp */
    union {
        struct {
            int64_t period;        /* of a periodic one, as is the next */
            struct repeat *repeat; /* of one that is retried (repeats.h) */
            uint32_t place;        /* that it keeps (delay.h), or 0 */
            uint32_t before; /* of the submitter: the word to go back to if the task is refused */
        };
        struct { /* once it is accepted in a serial */
            struct list link;
            weir_context *context;
        };
    };
};

_Static_assert(sizeof(struct task) <= sizeof(weir_task), "fits");

static inline weir_state state_in(uint32_t word)
{
    return (weir_state)(word & STATE);
}

static inline bool state_done(uint32_t word)
{
    return state_in(word) >= WEIR_TASK_DONE;
}

/* The word; of a task that is done, all that it did can be read afterwards; of one that is queued,
 * its pool and where it is. */
static inline uint32_t task_word(const struct task *task)
{
    uint32_t word = load_acq(&task->word); /* pairs with weir__task_placed,
                                              weir__task_starts, weir__task_withdrawn, finish */
    tsan_acquire(task);
    return word;
}

#define OF_SERIAL ((uintptr_t)1)

/* The serial that it was submitted to last, or NULL. */
static inline struct serial *task_serial(const struct task *task)
{
    uintptr_t owner = load_acq(&task->owner); /* pairs with task_set_owner */
    return (owner & OF_SERIAL) != 0 ? (struct serial *)(owner - OF_SERIAL) : NULL;
}

/* The pool that it was submitted to last. */
static inline weir_pool *task_pool(const struct task *task)
{
    uintptr_t owner = load_rlx(&task->owner); /* shown by the word, or the caller's own */
    if (likely((owner & OF_SERIAL) == 0))
        return (weir_pool *)owner;
    return ((const struct serial *)(owner - OF_SERIAL))->pool;
}

static inline void task_set_owner(struct task *task, const weir_pool *pool,
                                  const struct serial *serial)
{
    uintptr_t owner = serial != NULL ? (uintptr_t)serial | OF_SERIAL : (uintptr_t)pool;
    store_rel(&task->owner, owner); /* that it is being submitted: pairs with task_serial */
}

/* Was it submitted in the parent process? */
static inline bool task_inherited(const struct task *task)
{
    return load_rlx(&task->fork) != fork_count();
}

/* Of tasks that run once; and of those that have a gate, and keep a place. */
extern const struct sink_ops weir__task_sink;
extern const struct sink_ops weir__gated_sink;

/* The members of these, for other tables. */
void weir__task_placed(struct sink *sink, uint64_t claim, int64_t not_before);
void weir__task_withdrawn(struct sink *sink);
void weir__task_let_in(struct sink *sink, int64_t now);
void weir__task_starts(struct sink *sink, struct start *ret);
bool weir__task_cancelled(struct sink *sink);
void weir__task_end(struct sink *sink, const struct job *job, weir_state end, int status);

/* Takes the handle for a submit. `*ret_goes_on`: its own on_done makes it, on this thread. 0;
 * -EBUSY; -ECANCELED: it was cancelled, and does not go on. */
int weir__task_reserve(struct task *task, bool *ret_goes_on);
/* Of one that goes on: it holds a place in `reports` already, which the next step takes over. */
bool weir__task_take_over(const struct task *task, const struct reports *reports);
/* The submit is refused: for threads that met the task while it was tried. */
void weir__task_restore(struct task *task);

/* Threads that wait for any of several tasks are entered under this address, with a
 * struct task_set. */
extern const char weir__any_of_several;

struct task_set {
    weir_task *const *tasks; /* NULL elements are left out */
    size_t n;
};

/* Wakes the threads that wait for the task: only the address. */
void weir__task_wake(const void *task);

#endif
