/* SPDX-License-Identifier: MIT */
/* inside.h - the two structs that the files of the service share: the service, and a request.
 *
 * Who holds what. A request is counted: the network has one reference, from the line of the request
 * to the end of the answer; a task on the pool has another. Its answer belongs to whoever takes its
 * state from PENDING, by one compare-and-swap: the worker (DONE), or the deadline (TIMED_OUT). The
 * winner resumes the connection; the loser touches the connection no more, only the request, which
 * its reference keeps. */
#ifndef INSIDE_H
#define INSIDE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "admission.h"
#include "log.h"
#include "loop.h"
#include "rate.h"
#include "service.h"
#include "settings.h"
#include "store.h"
#include "text.h"
#include "tokens.h"

enum { MAX_ROUTES = 64, MAX_CHAIN = 32, MAX_HEADERS = 8, MAX_QUERY = 8, MAX_AT_END = 4 };

struct route {
    const char *method, *pattern;
    step_fn *handler;
    unsigned flags;
};

/* Where a service is in its life; it only goes forward. */
enum phase { RUNNING, LAME, STOPPING, CANCELLED };

struct service {
    struct settings settings; /* as it was started */
    struct settings latest;   /* the main thread's */
    pthread_mutex_t lock;
    int64_t open, timeout_ms; /* under `lock` */

    struct route routes[MAX_ROUTES];
    size_t n_routes;
    step_fn *chain[MAX_CHAIN];
    size_t n_chain;

    atomic_int phase; /* enum phase */
    atomic_size_t in_flight;
    atomic_size_t body_bytes; /* of all requests that are not over */
    atomic_uint_fast64_t answers[600], lost, next_id;
    uint64_t boot; /* random: request ids of two runs differ */

    weir_context *root; /* of all requests; cancelled when the time to stop is over */
    struct admission admission;
    struct crew *old_crews; /* of settings before; the main thread's */
    weir_pool *background;  /* jobs, and the housekeeping */
    struct store store;
    struct log log;
    struct tokens *tokens; /* under `lock` */
    struct rates rates;
    struct jobs *jobs;
    struct events *events;
    struct recent *recent; /* page.c's */
    struct cache *cache;
    weir_metrics *metrics;
    struct MHD_Daemon *http, *admin;
    struct connections *connections;
    struct loop loop;
    void *plugin;
    weir_task housekeeping;
    int64_t steps_per_us; /* of the routes of --bench */
};

enum answer_state { PENDING, DONE, TIMED_OUT };

struct response {
    int status;
    const char *type;
    char *body; /* malloc's */
    size_t size;
    struct MHD_Response *stream; /* instead of a body */
    struct {
        const char *name;
        char value[128];
    } headers[MAX_HEADERS];
    size_t n_headers;
};

struct request {
    struct service *service;
    struct MHD_Connection *connection; /* for the network's thread, and for who wins */
    atomic_uint refs;
    atomic_int state; /* enum answer_state */

    char id[65], client[48];
    char *path, *parts, *query; /* of one block; parts: the path, cut at the parameters' ends */
    char method[16];
    struct param params[MAX_PARAMS];
    int n_params;
    struct {
        const char *name, *value;
    } queries[MAX_QUERY];
    size_t n_queries;
    const struct route *route; /* NULL: there is none */
    size_t position;           /* in the chain */
    bool begun;                /* its head was there, and the chain was started */
    bool body_comes;
    bool chain_waits; /* it goes on when all of the request is there */
    bool queued_once; /* its answer comes from the worker or from the deadline */
    bool hooked;
    char *idempotency_key;

    char *body;
    size_t body_size, body_room;
    size_t reserved; /* of service->body_bytes */

    weir_context *context;
    weir_context_hook hook; /* of its deadline */
    struct crew *crew;      /* whose worker runs it */
    int64_t arrived, queued, started, ended;
    int answered;             /* the status that went out; 0: none did */
    struct response response; /* of the one who wins */
    struct {
        void (*fn)(struct request *request, void *arg);
        void *arg;
    } at_end[MAX_AT_END];
    size_t n_at_end;
};

/* request.c */
struct request *request_new(struct service *service, const char *target);
void request_unref(struct request *request);
bool request_take_answer(struct request *request, enum answer_state state);
/* Read the target: the parameters of the route, which fits; what follows the question mark. Each
 * once. Return 0; -EINVAL. */
int request_take_params(struct request *request);
int request_take_queries(struct request *request);

/* middleware.c: the chain of every service */
int add_middleware(struct service *service);
/* Runs or continues the chain, and sees that there is an answer if it fails. */
void run_chain(struct request *request);

/* answer.c: what becomes of an error; what MHD is given */
int respond_error(struct request *request, int err);
int respond_busy(struct request *request, const char *why);
struct MHD_Response *make_response(struct request *request);

/* http.c */
int http_start(struct service *service, unsigned *ret_port);
void http_stop(struct service *service);
/* Closes the connections that take too long to send or to read. To be called now and then. */
void http_sweep(struct service *service);
/* A connection that is to stay for long: it is not swept, and the system keeps little for it. */
void http_keep(struct request *request);
/* listen.c: a socket that listens at "ADDRESS:PORT", and its port; or a negative errno. */
int listen_on(const char *where, unsigned *ret_port);

/* Routes. */
int add_health(struct service *service);
int add_documents(struct service *service);

#endif
