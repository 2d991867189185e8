/* SPDX-License-Identifier: MIT */
/* slots.c - slots, and signals to what runs in them.
 * Locks: that of struct slots guards `taken`; that of a slot what its struct says. Never both.
 */
#include "slots.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A copy of weir's own environment, with places for what a job sees besides. */
static char **copy_environment(struct slot *slot)
{
    size_t n = 0;
    size_t kept = SLOT_VARIABLES;
    while (environ[n] != NULL)
        n++;
    char **copy = calloc(n + SLOT_VARIABLES + 2, sizeof(*copy));
    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < SLOT_VARIABLES; i++)
        copy[i] = slot->variables[i];
    for (size_t i = 0; i < n; i++) {
        static const char *const ours[] = {
            "WEIR_SEQ=", "WEIR_SLOT=", "WEIR_ATTEMPT=", "WEIR_JOB=", "WEIR_ID="};
        bool is_ours = false;
        for (size_t j = 0; j < sizeof(ours) / sizeof(ours[0]); j++)
            is_ours |= strncmp(environ[i], ours[j], strlen(ours[j])) == 0;
        if (!is_ours)
            copy[kept++] = environ[i];
    }
    slot->id_at = kept;
    return copy;
}

int slots_init(struct slots *slots, unsigned n)
{
    *slots = (struct slots){.lock = PTHREAD_MUTEX_INITIALIZER, .n = n};
    slots->all = calloc(n, sizeof(*slots->all));
    if (slots->all == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        struct slot *slot = &slots->all[i];
        slot->number = i + 1;
        slot->nudge = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        pthread_mutex_init(&slot->lock, NULL);
        if (slot->nudge < 0) {
            int err = -errno;
            slots->n = i;
            slots_destroy(slots);
            return err;
        }
    }
    return 0;
}

void slots_destroy(struct slots *slots)
{
    for (unsigned i = 0; i < slots->n; i++) {
        struct slot *slot = &slots->all[i];
        argv_free(&slot->argv);
        buffer_free(&slot->shown);
        buffer_free(&slot->name);
        capture_free(&slot->out);
        capture_free(&slot->err);
        buffer_free(&slot->tail);
        free(slot->environment);
        close(slot->nudge);
        pthread_mutex_destroy(&slot->lock);
    }
    free(slots->all);
    slots->all = NULL;
    slots->n = 0;
}

struct slot *slots_take(struct slots *slots)
{
    unsigned i = 0;
    pthread_mutex_lock(&slots->lock);
    while (slots->all[i].taken)
        i++;
    slots->all[i].taken = true;
    pthread_mutex_unlock(&slots->lock);
    return &slots->all[i];
}

void slots_give(struct slots *slots, struct slot *slot)
{
    pthread_mutex_lock(&slots->lock);
    slot->taken = false;
    pthread_mutex_unlock(&slots->lock);
}

char **slot_environment(struct slot *slot, uint64_t seq, unsigned attempt, const char *id)
{
    if (slot->environment == NULL)
        slot->environment = copy_environment(slot);
    if (slot->environment == NULL)
        return NULL;
    unsigned long long number = seq;
    snprintf(slot->variables[0], sizeof(slot->variables[0]), "WEIR_SEQ=%llu", number);
    snprintf(slot->variables[1], sizeof(slot->variables[1]), "WEIR_SLOT=%u", slot->number);
    snprintf(slot->variables[2], sizeof(slot->variables[2]), "WEIR_ATTEMPT=%u", attempt);
    /* By this one a process is known that has left its group and its parents: see family.c. */
    snprintf(slot->variables[3], sizeof(slot->variables[3]), "WEIR_JOB=%d.%llu", (int)getpid(),
             number);
    snprintf(slot->id, sizeof(slot->id), "WEIR_ID=%s", id == NULL ? "" : id);
    slot->environment[slot->id_at] = id == NULL ? NULL : slot->id;
    return slot->environment;
}

static void nudge(struct slot *slot)
{
    uint64_t one = 1;
    if (write(slot->nudge, &one, sizeof(one)) < 0)
        return; /* it can be read already */
}

unsigned slots_running(struct slots *slots)
{
    unsigned running = 0;
    for (unsigned i = 0; i < slots->n; i++) {
        pthread_mutex_lock(&slots->all[i].lock);
        running += slots->all[i].pid > 0;
        pthread_mutex_unlock(&slots->all[i].lock);
    }
    return running;
}

void slot_end_job(struct slot *slot)
{
    pthread_mutex_lock(&slot->lock);
    slot->lost = true;
    if (slot->pid > 0) {
        kill(-slot->pid, SIGTERM);
        kill(-slot->pid, SIGCONT);
    }
    pthread_mutex_unlock(&slot->lock);
    nudge(slot);
}

void slots_signal(struct slots *slots, int signal, bool order, bool no_kill)
{
    for (unsigned i = 0; i < slots->n; i++) {
        struct slot *slot = &slots->all[i];
        pthread_mutex_lock(&slot->lock);
        if (order && slot->order != SIGKILL) {
            slot->order = signal;
            slot->no_kill = no_kill;
        }
        if (slot->pid > 0)
            kill(-slot->pid, signal);
        /* A stopped process does not see SIGTERM before it goes on. */
        if (slot->pid > 0 && signal == SIGTERM)
            kill(-slot->pid, SIGCONT);
        pthread_mutex_unlock(&slot->lock);
        if (order)
            nudge(slot);
    }
}

void slots_nudge(struct slots *slots)
{
    for (unsigned i = 0; i < slots->n; i++)
        nudge(&slots->all[i]);
}
