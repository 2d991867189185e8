/* SPDX-License-Identifier: MIT */
/* server_facts.h - what a server says about itself. */
#ifndef WEIR_QUEUE_SERVER_FACTS_H
#define WEIR_QUEUE_SERVER_FACTS_H

#include "args.h"
#include "weir/queue.h"

struct redisReply;

/* The words of the command that asks for it. */
void weir__facts_args(struct args *args);

/* Reads the reply, whatever it is. */
void weir__facts_read(weir_queue_server *ret, const struct redisReply *reply);

/* A sentence about the first thing that endangers jobs there, or NULL: none does; from `index` on:
 * 0 for the first such sentence, 1 for the next. */
const char *weir__facts_warning(const weir_queue_server *server, unsigned index);

#endif
