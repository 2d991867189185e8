/* SPDX-License-Identifier: MIT */
/* server_facts.c - what a server says about itself. INFO needs no right to see its configuration.
 */
#include "server_facts.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

void weir__facts_args(struct args *args)
{
    weir__args_init(args, 1);
    weir__args_text(args, "INFO"); /* all usual sections: a few kilobytes */
}

/* The value behind "\nNAME:", up to the end of its line; 0 bytes: it is not there. */
static const char *find(const char *text, const char *name, size_t *ret_size)
{
    size_t length = strlen(name);
    for (const char *at = text; (at = strstr(at, name)) != NULL; at += length) {
        if (at > text && at[-1] == '\n' && at[length] == ':') {
            at += length + 1;
            *ret_size = strcspn(at, "\r\n");
            return at;
        }
    }
    *ret_size = 0;
    return "";
}

static int64_t find_number(const char *text, const char *name)
{
    size_t size;
    const char *at = find(text, name, &size);
    return size > 0 ? strtoll(at, NULL, 10) : -1;
}

static void find_word(const char *text, const char *name, char *ret, size_t room)
{
    size_t size;
    const char *at = find(text, name, &size);
    size = size < room ? size : room - 1;
    memcpy(ret, at, size);
    ret[size] = '\0';
}

void weir__facts_read(weir_queue_server *ret, const redisReply *reply)
{
    const char *text = reply->type == REDIS_REPLY_STRING ? reply->str : "";
    *ret = (weir_queue_server){.evicts = -1, .append_only = -1};
    find_word(text, "valkey_version", ret->version, sizeof ret->version);
    if (ret->version[0] == '\0')
        find_word(text, "redis_version", ret->version, sizeof ret->version);
    find_word(text, "maxmemory_policy", ret->policy, sizeof ret->policy);
    ret->memory = find_number(text, "used_memory");
    ret->memory_limit = find_number(text, "maxmemory");
    int64_t append_only = find_number(text, "aof_enabled");
    if (append_only >= 0)
        ret->append_only = append_only > 0;
    /* Without a limit nothing is evicted now, but the limit is one command away. The volatile
     * policies throw away keys of jobs that are done, at worst: jobs have no time to live. */
    if (ret->policy[0] != '\0')
        ret->evicts = strncmp(ret->policy, "allkeys", 7) == 0;
}

const char *weir__facts_warning(const weir_queue_server *server, unsigned index)
{
    if (server->evicts == 1 && index-- == 0)
        return "the server may throw away jobs when its memory is full: set its maxmemory-policy "
               "to noeviction";
    if (server->append_only == 0 && index-- == 0)
        return "the server forgets the latest jobs when it is killed: set appendonly to yes";
    return NULL;
}
