/* SPDX-License-Identifier: MIT */
/* jobs.h - exports: work in the background that outlives a restart. */
#ifndef JOBS_H
#define JOBS_H

#include <stddef.h>
#include <stdint.h>

#include <weir.h>

struct jobs;
struct service;

/* Starts again what was not over when the service ended. */
int jobs_start(struct jobs **ret, struct service *service);

/* Frees them; all tasks must have ended. */
void jobs_free(struct jobs *jobs);

/* Forgets jobs that are over, and deletes rows that have expired. To be called now and then. */
int jobs_clean(struct jobs *jobs, weir_context *ctx);

/* Runs the job whose row has this number, for what this expression finds. */
int jobs_add(struct jobs *jobs, int64_t id, const char *expression);

/* Ends its task, if it has one. */
void jobs_cancel(struct jobs *jobs, int64_t id);

/* How often it was tried since the start; and how many are not over. */
int jobs_attempts(struct jobs *jobs, int64_t id);
size_t jobs_live(struct jobs *jobs);

/* The routes, in exports.c. */
int add_exports(struct service *service);

#endif
