/* SPDX-License-Identifier: MIT */
/* run.h - the life of a service: start, change while it runs, stop. */
#ifndef RUN_H
#define RUN_H

#include "settings.h"

struct service;

/* Makes all of it, in the order in which the parts need each other. NULL: a sentence has been
 * written. */
struct service *service_start(const struct settings *settings);

/* Takes over new settings. All or nothing: -EINVAL and the like leave everything as it was. */
int service_change(struct service *service, const struct settings *settings);

/* To be called each second. */
void service_tick(struct service *service);

void service_dump(struct service *service);

/* Stops without losing what was accepted, as far as the time allows, and frees it. Returns what the
 * process exits with: 0, nothing was lost; 1. */
int service_stop(struct service *service);

#endif
