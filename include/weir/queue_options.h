/* SPDX-License-Identifier: MIT */
/* weir/queue_options.h - messages of a queue, what it is opened, pushed to and served with.
 * weir/queue.h includes it.
 *
 * Each field that is zero means the default. Times are nanoseconds; the server counts milliseconds,
 * and a time above 0 is rounded up to one.
 */
#ifndef WEIR_QUEUE_OPTIONS_H
#define WEIR_QUEUE_OPTIONS_H

#include "pool.h"

WEIR_BEGIN_DECLS

typedef struct weir_queue weir_queue;

/* A body may have this many bytes, and a key this many, at most. */
#define WEIR_QUEUE_BODY_MAX ((size_t)256 * 1024 * 1024)
#define WEIR_QUEUE_KEY_MAX 1024
/* Of what weir_message_set_errors is given, the last so many bytes are kept. */
#define WEIR_QUEUE_ERRORS_MAX 4096
/* The dead list keeps so many jobs: the newest. */
#define WEIR_QUEUE_DEAD_MAX 10000
/* A job during which so many workers died is dead, whatever its retries. */
#define WEIR_QUEUE_DEATHS_MAX 3

/* What is pushed, and what a handler is given. */
typedef struct weir_message {
    const void *body; /* any bytes; may be NULL if size is 0; a handler finds a NUL behind them */
    size_t size;
    const char *key;  /* not empty; pushed: not added if there is such a job already; NULL: none */
    const char *id;   /* handler: names the job, for people too; push ignores it */
    unsigned attempt; /* handler: which attempt this is, from 1; push ignores it */
} weir_message;

typedef struct weir_queue_options {
    size_t size;             /* filled by WEIR_QUEUE_OPTIONS or weir_queue_options_init */
    const char *password;    /* if the URL has none; copied; 0: none */
    int64_t connect_timeout; /* for one attempt to connect; 0: 5 s */
    int64_t reply_timeout;   /* a server that is silent for so long is given up; 0: 10 s */
    int64_t patience;        /* a call that meets no server, or one that is not ready, tries again
                                for so long; 0: 5 s; negative: it does not */
    uint64_t limit;          /* a push waits while so many jobs are queued and delayed; 0: 1e6 */
} weir_queue_options;

/* What becomes of one message of a push. */
typedef enum weir_pushed {
    WEIR_PUSHED_NEW,     /* it is a job now */
    WEIR_PUSHED_KNOWN,   /* a job with its key is there, or was done within `remember` */
    WEIR_PUSHED_LEFT_OUT /* the push ended before its turn */
} weir_pushed;

/* For all messages of one push. */
typedef struct weir_push_options {
    size_t size;           /* filled by WEIR_PUSH_OPTIONS or weir_push_options_init */
    int64_t delay;         /* it can be taken only after so long; 0: at once */
    int64_t at;            /* it can be taken only from then on: ns since 1970, by the server's
                              clock; not with `delay`; 0: at once */
    int64_t remember;      /* how long its key is known after it was done; 0: 1 h; negative: not */
    unsigned retries;      /* attempts in all; 0: 5 */
    int64_t backoff_first; /* the pause after the first that failed; each is twice the one before,
                              times a random factor of 0.5 to 1; 0: 1 s */
    int64_t backoff_max;   /* the longest; 0: 10 min */
    /* Told of each message, in order, on the calling thread, before the push returns; 0: not.
       `id` is that of the job, new or known; NULL: left out, or known and long done. */
    void (*on_pushed)(const weir_message *message, weir_pushed what, const char *id, void *user);
    void *user; /* for on_pushed */
} weir_push_options;

/* How many messages of a push ended how. */
typedef struct weir_push_counts {
    uint64_t added, known, left_out;
} weir_push_counts;

/* What on_event of a serve is told; the calls come one after the other, on the serving thread, and
 * must not block. */
typedef enum weir_serve_event {
    WEIR_SERVE_CONNECTED,    /* to a server, at the start and after each DISCONNECTED */
    WEIR_SERVE_DISCONNECTED, /* or the server refuses; it will be tried again */
    WEIR_SERVE_WARNING,      /* the server may evict jobs, or forget them when it is killed */
    WEIR_SERVE_LOST          /* the lease of the job `id` was lost, its context is over */
} weir_serve_event;

typedef struct weir_serve_options {
    size_t size;      /* filled by WEIR_SERVE_OPTIONS or weir_serve_options_init */
    const char *name; /* of this worker, for people, without blanks, at most 200 bytes; 0: HOST:PID.
                         Each serve appends a random word to it, so that no two are alike */
    int64_t lease;    /* a job whose worker has not been heard of for so long goes to another;
                         30 ms at least; 0: 30 s */
    int64_t renew;    /* how often a lease is renewed; negative: never, so a job that takes longer
                         is lost; 0: lease / 3 */
    unsigned slots;   /* handlers at a time, at most; 0: the workers of the pool */
    int batch;        /* jobs to have at hand beyond those, for less waiting; negative: none;
                         0: as many as slots, at most 64 */
    unsigned retries; /* attempts in all, instead of what the job says; 0: the job's */
    int64_t backoff_first; /* likewise */
    int64_t backoff_max;
    unsigned char drain; /* 1: return when nothing is queued, delayed or running anywhere */
    /* `text` is a sentence without a full stop; `id` is that of a job, or NULL. 0: nobody */
    void (*on_event)(weir_serve_event event, const char *text, const char *id, void *user);
    void *user; /* for on_event */
} weir_serve_options;

/* Pointers to options with the fields named set and the others default (C only). */
#define WEIR_QUEUE_OPTIONS(...)                                                                    \
    (&(weir_queue_options){.size = sizeof(weir_queue_options), __VA_ARGS__})
#define WEIR_PUSH_OPTIONS(...)                                                                     \
    (&(weir_push_options){.size = sizeof(weir_push_options), __VA_ARGS__})
#define WEIR_SERVE_OPTIONS(...)                                                                    \
    (&(weir_serve_options){.size = sizeof(weir_serve_options), __VA_ARGS__})
/* The same for C++ and for options that are filled step by step. */
WEIR_API void weir_queue_options_init(weir_queue_options *options);
WEIR_API void weir_push_options_init(weir_push_options *options);
WEIR_API void weir_serve_options_init(weir_serve_options *options);

WEIR_END_DECLS

#endif
