/* SPDX-License-Identifier: MIT */
/* jobs.c - what is in a queue, and what people do to it. */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "handle.h"
#include "server_facts.h"

#define PAGE 100
#define DEAD_PAGE 20 /* whose rows are longer */

/* Runs a script whose reply is an array of at least `least` elements. */
static int run_array(weir_queue *queue, const struct script *script, struct args *args,
                     size_t least, redisReply **ret)
{
    int err = weir__queue_do(queue, script, args, REDIS_REPLY_ARRAY, ret);
    if (err == 0 && (*ret)->elements < least) {
        freeReplyObject(*ret);
        err = weir__queue_puzzled(queue);
    }
    return err;
}

static bool all_of_type(const redisReply *array, size_t begin, int type)
{
    for (size_t i = begin; i < array->elements; i++)
        if (array->element[i]->type != type)
            return false;
    return true;
}

/* A script that answers with a number. Returns it, or an error. */
static int64_t run_number(weir_queue *queue, const struct script *script, struct args *args)
{
    redisReply *reply;
    int err = weir__queue_do(queue, script, args, REDIS_REPLY_INTEGER, &reply);
    if (err < 0)
        return err;
    int64_t number = reply->integer;
    freeReplyObject(reply);
    return number >= 0 ? number : weir__queue_puzzled(queue);
}

int weir_queue_read_stats(weir_queue *queue, weir_queue_stats *ret)
{
    int err = weir__queue_enter(queue);
    if (err < 0)
        return err;
    struct args args;
    redisReply *reply;
    if (ret == NULL) {
        err = weir__fail_code(queue, -EINVAL);
    } else {
        weir__script_args(&args, &weir__script_stats, &queue->address, 0);
        err = run_array(queue, &weir__script_stats, &args, 16, &reply);
        if (err == 0 && !all_of_type(reply, 0, REDIS_REPLY_INTEGER)) {
            err = weir__queue_puzzled(queue);
            freeReplyObject(reply);
        }
    }
    if (err == 0) {
        uint64_t n[16];
        for (size_t i = 0; i < 16; i++)
            n[i] = (uint64_t)reply->element[i]->integer;
        int64_t oldest = reply->element[5]->integer;
        *ret = (weir_queue_stats){
            .queued = n[0],
            .delayed = n[1],
            .running = n[2],
            .dead = n[3],
            .workers = n[4],
            .oldest = oldest >= 0 ? oldest * 1000000 : 0,
            .paused = n[6] != 0,
            .added = n[7],
            .known = n[8],
            .done = n[9],
            .failed = n[10],
            .taken_over = n[11],
            .buried = n[12],
            .fell_off = n[13],
            .cancelled = n[14],
            .vanished = n[15],
        };
        freeReplyObject(reply);
    }
    weir__queue_leave(queue);
    return err;
}

int weir_queue_read_server(weir_queue *queue, weir_queue_server *ret)
{
    int err = weir__queue_enter(queue);
    if (err < 0)
        return err;
    redisReply *reply = NULL;
    struct args args;
    weir__facts_args(&args);
    if (ret == NULL || args.failed)
        err = weir__fail_code(queue, ret == NULL ? -EINVAL : -ENOMEM);
    else
        err = weir__queue_take_turn(queue, NULL, WEIR_FOREVER);
    if (err == 0) {
        err = weir__queue_ask(queue, &args, NULL, WEIR_FOREVER, &reply);
        weir__queue_end_turn(queue);
    }
    weir__args_destroy(&args);
    if (err == 0) {
        weir__facts_read(ret, reply);
        freeReplyObject(reply);
    }
    weir__queue_leave(queue);
    return err;
}

/* Rows of a list: calls `tell` for each, by pages, until it returns non-zero. */
static int list(weir_queue *queue, const struct script *script, int64_t page,
                int (*tell)(const redisReply *row, void *user), void *user)
{
    int result = 0;
    for (int64_t skip = 0; result == 0; skip += page) {
        struct args args;
        redisReply *reply;
        weir__script_args(&args, script, &queue->address, 2);
        weir__args_number(&args, skip);
        weir__args_number(&args, page);
        int err = run_array(queue, script, &args, 1, &reply);
        if (err < 0)
            return err;
        int64_t seen = reply->element[0]->integer;
        for (size_t i = 1; i < reply->elements && result == 0; i++)
            result = tell(reply->element[i], user);
        freeReplyObject(reply);
        if (seen < page)
            break;
    }
    return result;
}

/* Whether a row has this shape: s for a text, n for a number, an element each. */
static bool has_shape(const redisReply *row, const char *shape)
{
    if (row->type != REDIS_REPLY_ARRAY || row->elements < strlen(shape))
        return false;
    for (size_t i = 0; shape[i] != '\0'; i++) {
        int type = shape[i] == 's' ? REDIS_REPLY_STRING : REDIS_REPLY_INTEGER;
        if (row->element[i]->type != type)
            return false;
    }
    return true;
}

static const char *key_of(const redisReply *row)
{
    return row->element[1]->len > 0 ? row->element[1]->str : NULL;
}

struct listing {
    int (*running)(const weir_queue_running *job, void *arg);
    int (*dead)(const weir_queue_dead *job, void *arg);
    void *arg;
};

static int tell_running(const redisReply *row, void *user)
{
    const struct listing *listing = user;
    if (!has_shape(row, "sssnnnnn"))
        return 0;
    redisReply **element = row->element;
    weir_queue_running job = {
        .id = element[0]->str,
        .key = key_of(row),
        .worker = element[2]->str,
        .attempt = (unsigned)element[3]->integer,
        .started = (int)element[4]->integer,
        .cancelled = (int)element[5]->integer,
        .age = element[6]->integer * 1000000,
        .lease_left = element[7]->integer * 1000000,
    };
    return listing->running(&job, listing->arg);
}

int weir_queue_list_running(weir_queue *queue, int (*fn)(const weir_queue_running *job, void *arg),
                            void *arg)
{
    int err = weir__queue_enter(queue);
    if (err < 0)
        return err;
    struct listing listing = {.running = fn, .arg = arg};
    err = fn == NULL ? weir__fail_code(queue, -EINVAL)
                     : list(queue, &weir__script_running, PAGE, tell_running, &listing);
    weir__queue_leave(queue);
    return err;
}

static weir_death death_of(const char *why)
{
    if (strcmp(why, "poison") == 0)
        return WEIR_DEATH_POISON;
    return strcmp(why, "worker") == 0 ? WEIR_DEATH_WORKER : WEIR_DEATH_FAILED;
}

static int tell_dead(const redisReply *row, void *user)
{
    const struct listing *listing = user;
    if (!has_shape(row, "sssnnnssn"))
        return 0;
    redisReply **element = row->element;
    weir_queue_dead job = {
        .id = element[0]->str,
        .key = key_of(row),
        .body = element[2]->str,
        .body_size = element[2]->len,
        .size = (size_t)element[3]->integer,
        .attempts = (unsigned)element[4]->integer,
        .status = (int)element[5]->integer,
        .errors = element[6]->str,
        .errors_size = element[6]->len,
        .why = death_of(element[7]->str),
        .age = element[8]->integer * 1000000,
    };
    return listing->dead(&job, listing->arg);
}

int weir_queue_list_dead(weir_queue *queue, int (*fn)(const weir_queue_dead *job, void *arg),
                         void *arg)
{
    int err = weir__queue_enter(queue);
    if (err < 0)
        return err;
    struct listing listing = {.dead = fn, .arg = arg};
    err = fn == NULL ? weir__fail_code(queue, -EINVAL)
                     : list(queue, &weir__script_dead, DEAD_PAGE, tell_dead, &listing);
    weir__queue_leave(queue);
    return err;
}

/* One portion of retry or drop, or one job. Returns 0 or an error; counts in ret_numbers: dealt
 * with, kept, the time. */
static int raise_some(weir_queue *queue, const char *what, const char *id, int64_t before,
                      int64_t skip, int64_t ret_numbers[3])
{
    struct args args;
    redisReply *reply;
    weir__script_args(&args, &weir__script_raise, &queue->address, 5);
    weir__args_text(&args, what);
    weir__args_text(&args, id);
    weir__args_number(&args, before);
    weir__args_number(&args, skip);
    weir__args_number(&args, PAGE);
    int err = run_array(queue, &weir__script_raise, &args, 3, &reply);
    if (err < 0)
        return err;
    for (size_t i = 0; i < 3; i++)
        ret_numbers[i] = reply->element[i]->integer;
    freeReplyObject(reply);
    return 0;
}

static int raise_one(weir_queue *queue, const char *what, const char *id)
{
    int err = weir__queue_enter(queue);
    if (err < 0)
        return err;
    int64_t numbers[3];
    err = id == NULL || *id == '\0' ? -EINVAL : 0;
    if (err < 0)
        (void)weir__fail_code(queue, err);
    else
        err = raise_some(queue, what, id, 0, 0, numbers);
    struct failure failure;
    if (err == 0 && numbers[1] > 0)
        err = weir__fail_queue(
            queue,
            (weir__fail(&failure, -EEXIST, "a job with the key of %.40s is queued", id), &failure));
    else if (err == 0 && numbers[0] == 0)
        err = weir__fail_queue(
            queue, (weir__fail(&failure, -ENOENT, "no job %.40s is dead", id), &failure));
    weir__queue_leave(queue);
    return err;
}

/* By portions, until one is short: `skip` are those that stay. */
static int64_t raise_all(weir_queue *queue, const char *what)
{
    int64_t err = weir__queue_enter(queue);
    if (err < 0)
        return err;
    int64_t done = 0, skip = 0, before = 0, numbers[3] = {0};
    do {
        err = raise_some(queue, what, "", before, skip, numbers);
        if (err < 0)
            break;
        done += numbers[0];
        skip += numbers[1];
        before = before == 0 ? numbers[2] : before;
    } while (numbers[0] + numbers[1] == PAGE);
    weir__queue_leave(queue);
    return err < 0 ? err : done;
}

int weir_queue_retry_dead(weir_queue *queue, const char *id)
{
    return raise_one(queue, "retry", id);
}

int64_t weir_queue_retry_all_dead(weir_queue *queue)
{
    return raise_all(queue, "retry");
}

int weir_queue_drop_dead(weir_queue *queue, const char *id)
{
    return raise_one(queue, "drop", id);
}

int64_t weir_queue_drop_all_dead(weir_queue *queue)
{
    return raise_all(queue, "drop");
}

static int set_paused(weir_queue *queue, int paused)
{
    int err = weir__queue_enter(queue);
    if (err < 0)
        return err;
    struct args args;
    weir__script_args(&args, &weir__script_pause, &queue->address, 1);
    weir__args_number(&args, paused);
    int64_t answer = run_number(queue, &weir__script_pause, &args);
    weir__queue_leave(queue);
    return answer < 0 ? (int)answer : 0;
}

int weir_queue_pause(weir_queue *queue)
{
    return set_paused(queue, 1);
}

int weir_queue_resume(weir_queue *queue)
{
    return set_paused(queue, 0);
}

int weir_queue_cancel(weir_queue *queue, const char *id, const char *key)
{
    int err = weir__queue_enter(queue);
    if (err < 0)
        return err;
    const char *name = id != NULL ? id : key;
    if (name == NULL || *name == '\0') {
        weir__queue_leave(queue);
        return weir__fail_code(queue, -EINVAL);
    }
    struct args args;
    weir__script_args(&args, &weir__script_cancel, &queue->address, 2);
    weir__args_text(&args, id != NULL ? id : "");
    weir__args_text(&args, id != NULL ? "" : key);
    int64_t answer = run_number(queue, &weir__script_cancel, &args);
    struct failure failure;
    if (answer == 0)
        err = weir__fail_queue(
            queue, (weir__fail(&failure, -ENOENT, "there is no job %.100s", name), &failure));
    else
        err = answer < 0 ? (int)answer : answer == 1 ? 0 : -EINPROGRESS;
    weir__queue_leave(queue);
    return err;
}
