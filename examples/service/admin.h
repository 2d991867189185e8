/* SPDX-License-Identifier: MIT */
/* admin.h - metrics, a dump, a timeline: on a listener of their own. And the page. */
#ifndef ADMIN_H
#define ADMIN_H

struct service;
struct crew;

/* The metrics of the service, and those of a crew's pool instead of another's. */
int admin_add_metrics(struct service *service);
int admin_change_crew(struct service *service, struct crew *from, struct crew *to);

int admin_start(struct service *service, unsigned *ret_port);
void admin_stop(struct service *service);

/* The page, and the numbers that it shows. */
int add_page(struct service *service);

#endif
