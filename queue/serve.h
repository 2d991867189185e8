/* SPDX-License-Identifier: MIT */
/* serve.h - one run of weir_queue_serve: the serving thread, and the jobs that it has in hand.
 *
 * The serving thread alone reads from the server, takes and renews; it sleeps in one poll. It has
 * two connections: the line, for all scripts, and the ear, on which it only waits for word that
 * there are jobs. The pool's threads write to the line before they call a handler: that they will,
 * and first the results of the jobs that have ended.
 *
 * A job in hand: READY -> SUBMITTED -> RUNNING -> ENDED -> SETTLING -> gone. It may skip RUNNING;
 * SETTLING goes back to ENDED when the line breaks. It is ENDED when the pool has done with it,
 * SETTLING once the server was told what became of it.
 *
 * `lock` guards the line, the lists ready, ended and batches, line_up, at_pool, sleeping, stopping,
 * refused, and of a job all that says so; line_up is written by the serving thread alone. The list
 * hand and the rest belong to the serving thread. No lock is held while a function of the user's,
 * or of the pool, is called.
 */
#ifndef WEIR_QUEUE_SERVE_H
#define WEIR_QUEUE_SERVE_H

#include "weir/task.h"

#include "base/list.h"
#include "handle.h"

enum job_state { JOB_READY, JOB_SUBMITTED, JOB_RUNNING, JOB_ENDED, JOB_SETTLING };

struct job {
    weir_message message;
    struct serve *serve;
    struct list hand;  /* in serve->hand */
    struct list queue; /* by `lock`: in serve->ready or serve->ended */
    weir_task task;
    bool submitted;       /* it was accepted by the pool once; by `lock` */
    enum job_state state; /* by `lock` */
    char id[24];
    char token[24]; /* the server's proof that it is ours */
    char *key, *body;
    int64_t lease_end;    /* on our clock, early rather than late; by `lock` */
    bool started;         /* its handler was called; by `lock` */
    weir_context *ctx;    /* its handler's, while that runs; by `lock` */
    int cause;            /* why that is to be over; 0: it is not; by `lock` */
    int status;           /* what the handler returned */
    weir_failure failure; /* by `lock`, as the two below */
    char *errors;
    size_t errors_size;
};

/* Jobs of one command whose reply is to come. */
struct batch {
    struct list link; /* in serve->batches */
    int64_t sent;
    size_t count;
    struct job *jobs[];
};

/* When to connect again. */
struct again {
    int64_t at, pause;
};

struct serve {
    weir_queue *queue;
    weir_pool *pool;
    weir_message_fn *fn;
    void *arg;
    weir_serve_options options; /* with defaults filled in */
    weir_context *ctx;
    char worker[240];
    int bell; /* an eventfd that wakes the serving thread */

    pthread_mutex_t lock;
    struct wire line;
    struct list ready, ended, batches;
    bool line_up; /* the line is greeted, and its leases are settled with the server */
    unsigned at_pool, at_pool_most;
    bool sleeping, stopping;
    int refused; /* what the pool said, other than that it is full */

    struct wire ear;
    struct list hand;
    size_t in_hand, most_in_hand;
    struct again line_again, ear_again;
    bool served;    /* the server has done a take */
    bool told_up;   /* on_event knows of the connection */
    bool warned;    /* and of what endangers jobs */
    bool taking;    /* a take is under way */
    bool idle;      /* the last one found less than there was room for */
    bool listening; /* the ear waits */
    bool empty;     /* no job was anywhere at the last take */
    bool left;      /* the server has let us go */
    size_t asked;   /* of the take under way */
    int64_t take_at, renew_at, mend_at, give_up;
    int err; /* why it ends */
};

/* serve_job.c: jobs in hand. */

/* Of a row of a take. Returns NULL without memory, or for a row that makes no sense. */
struct job *weir__job_new(struct serve *serve, const struct redisReply *row, int64_t lease_end);
/* Waits until the pool has let go of it. */
void weir__job_free(struct job *job);
/* Gives the pool what it has room for. From any thread, without the lock. */
void weir__jobs_submit(struct serve *serve);
/* Ends the context of its handler, now or as soon as it has one. Returns whether that is news. */
bool weir__job_stop(struct job *job, int cause);
/* Takes from the pool what has not started; call it until all jobs have ended. */
void weir__jobs_withdraw(struct serve *serve);
void weir__serve_ring(struct serve *serve);

/* What a reply is for. The answer to START tells nothing new: a lease that is lost is noticed by
 * its renewal. */
enum line_tag { TAG_START, TAG_TAKE, TAG_SETTLE, TAG_RENEW, TAG_GREETING, TAG_FACTS, TAG_LEAVE };

/* serve_say.c: what is said to the server on the line. All return 0, or why the line is to be given
 * up. */

/* Says what is to be said now. */
int weir__line_write(struct serve *serve);
/* Says what became of the jobs that have ended, but does not send it. */
int weir__line_settle_locked(struct serve *serve);
/* Renews the leases in hand. With TAG_GREETING, the first thing said on a line. */
int weir__line_renew(struct serve *serve, enum line_tag tag);
int weir__line_ask_facts(struct serve *serve);
/* With nothing in hand: has the server forget this worker; `left` is set by its answer. */
int weir__line_leave(struct serve *serve);
/* What became of a job that has ended, as settle.lua calls it. */
const char *weir__job_result(const struct job *job);

/* serve_answer.c: what the server answers. */

/* Reads the replies that have come. Returns 0, or why the line is to be given up. */
int weir__line_read(struct serve *serve);
/* The line broke: what was not answered is open again. */
void weir__line_broken(struct serve *serve);

/* serve_ear.c: where it waits for word of jobs. */
void weir__ear_step(struct serve *serve);

void weir__serve_tell(struct serve *serve, weir_serve_event event, const char *text,
                      const char *id);
/* Doubles the pause, which has a random part. */
void weir__again_later(struct again *again);

#endif
