/* SPDX-License-Identifier: MIT */
/* weir/queue_jobs.h - what is in a queue, and what people do to it. weir/queue.h includes it.
 *
 * All these calls ask the server and block for that: until `patience` and `reply_timeout` of the
 * queue's options are over at most (lists and all_dead calls: for each portion of the list). They
 * return the errors of weir/queue.h; -EINVAL for NULL where an argument is needed; -ENOMEM;
 * -ESTALE.
 */
#ifndef WEIR_QUEUE_JOBS_H
#define WEIR_QUEUE_JOBS_H

#include "queue_options.h"

WEIR_BEGIN_DECLS

/* Jobs now, and counts since the queue came into being. */
typedef struct weir_queue_stats {
    uint64_t queued;     /* wait for a worker */
    uint64_t delayed;    /* wait for their time, or for the next attempt */
    uint64_t running;    /* are at a worker, also if its handler has not been called yet */
    uint64_t dead;       /* are in the dead list */
    uint64_t workers;    /* that serve */
    int64_t oldest;      /* ns since the first of those queued was added or came due; 0: none is */
    int paused;          /* 1: workers take no jobs */
    uint64_t added;      /* jobs pushed */
    uint64_t known;      /* messages that were not added, for their key */
    uint64_t done;       /* jobs whose handler returned 0 */
    uint64_t failed;     /* attempts that failed */
    uint64_t taken_over; /* leases that were lost */
    uint64_t buried;     /* jobs that went to the dead list, */
    uint64_t fell_off;   /* and that were dropped there since it was full */
    uint64_t cancelled;  /* jobs */
    uint64_t vanished;   /* jobs that the server evicted, or that somebody deleted */
} weir_queue_stats;

WEIR_API WEIR_NODISCARD int weir_queue_read_stats(weir_queue *queue, weir_queue_stats *ret);

/* What must be known of a server to trust it with jobs. -1: it does not say. */
typedef struct weir_queue_server {
    char version[32];
    char policy[32];      /* its maxmemory-policy */
    int evicts;           /* 1: by that it may throw away jobs when its memory is full */
    int append_only;      /* 0: jobs of the last minutes are lost when it is killed */
    int64_t memory;       /* bytes in use */
    int64_t memory_limit; /* 0: none */
} weir_queue_server;

WEIR_API WEIR_NODISCARD int weir_queue_read_server(weir_queue *queue, weir_queue_server *ret);

/* A job that is at a worker. */
typedef struct weir_queue_running {
    const char *id;
    const char *key; /* NULL: none */
    const char *worker;
    unsigned attempt;
    int started;        /* 1: its handler has been called; 0: it waits for a slot there */
    int cancelled;      /* 1: and its worker will be told */
    int64_t age;        /* ns since the worker took it */
    int64_t lease_left; /* ns; negative: it goes to the next worker that has room */
} weir_queue_running;

/* Lists the jobs at workers: calls fn for each until it returns non-zero; what comes and goes
 * meanwhile may be missed, or be told twice. fn may make calls on the queue. Returns 0, what fn
 * returned, or an error. */
WEIR_API WEIR_NODISCARD int
weir_queue_list_running(weir_queue *queue, int (*fn)(const weir_queue_running *job, void *arg),
                        void *arg);

typedef enum weir_death {
    WEIR_DEATH_FAILED, /* its last attempt failed; or it was to be buried */
    WEIR_DEATH_WORKER, /* its last attempt ended with its worker, or with its lease */
    WEIR_DEATH_POISON  /* WEIR_QUEUE_DEATHS_MAX attempts did */
} weir_death;

/* A job in the dead list. */
typedef struct weir_queue_dead {
    const char *id;
    const char *key;  /* NULL: none; a dead job does not keep its key from others */
    const void *body; /* its beginning: up to 4096 bytes */
    size_t body_size; /* of that */
    size_t size;      /* of the whole */
    unsigned attempts;
    int status;         /* what the handler returned last; 0: it never did */
    const char *errors; /* their end, as weir_message_set_errors was given it, and a NUL */
    size_t errors_size; /* without that NUL */
    weir_death why;
    int64_t age; /* ns since it died */
} weir_queue_dead;

/* Lists the dead, the newest first, as weir_queue_list_running does. */
WEIR_API WEIR_NODISCARD int weir_queue_list_dead(weir_queue *queue,
                                                 int (*fn)(const weir_queue_dead *job, void *arg),
                                                 void *arg);

/* Queues a dead job again, with all its attempts before it. Returns 0; -ENOENT: no such job is
 * dead; -EEXIST: a job with its key was added meanwhile, so it stays dead. The all_ form queues all
 * that are dead when it begins, and returns how many that were. */
WEIR_API WEIR_NODISCARD int weir_queue_retry_dead(weir_queue *queue, const char *id);
WEIR_API WEIR_NODISCARD int64_t weir_queue_retry_all_dead(weir_queue *queue);

/* Deletes a dead job, or all that are dead when the call begins. Returns likewise. */
WEIR_API WEIR_NODISCARD int weir_queue_drop_dead(weir_queue *queue, const char *id);
WEIR_API WEIR_NODISCARD int64_t weir_queue_drop_all_dead(weir_queue *queue);

/* From now on no worker takes a job, until resume; what is at workers goes on. Pushes go in. Doing
 * it twice is fine. */
WEIR_API WEIR_NODISCARD int weir_queue_pause(weir_queue *queue);
WEIR_API WEIR_NODISCARD int weir_queue_resume(weir_queue *queue);

/* Cancels the job with that ID, or that key if `id` is NULL; dead ones are no jobs here. Returns 0:
 * it is deleted; -EINPROGRESS: it is at a worker, whose handler finds its context over at the next
 * renewal of the lease; unless it then returns 0 it is deleted, and not tried again; -ENOENT:
 * there is no such job. */
WEIR_API WEIR_NODISCARD int weir_queue_cancel(weir_queue *queue, const char *id, const char *key);

WEIR_END_DECLS

#endif
