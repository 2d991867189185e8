/* SPDX-License-Identifier: MIT */
/* keyed_table.c - see keyed_table.h for what holds when. */
#include "flow/keyed_table.h"

#include <errno.h>

#include "os/alloc.h"
#include "os/random.h"

/* Lines. */

static uint32_t *chain_of(const weir_keyed *keyed, uint64_t key)
{
    return &keyed->chains[key * keyed->factor >> keyed->shift];
}

struct line *weir__keyed_find_locked(const weir_keyed *keyed, uint64_t key)
{
    uint32_t at = *chain_of(keyed, key);
    while (at != 0 && keyed->lines[at - 1].key != key)
        at = keyed->lines[at - 1].next;
    return at != 0 ? &keyed->lines[at - 1] : NULL;
}

static bool waits_for_key(const struct waiter *waiter, const void *key)
{
    return ((const struct entry *)waiter->arg)->key == *(const uint64_t *)key;
}

/* The line of the key, or a free one that is now in use for it; or NULL. */
struct line *weir__keyed_enter_locked(weir_keyed *keyed, uint64_t key)
{
    struct line *line = weir__keyed_find_locked(keyed, key);
    if (line == NULL && keyed->free != 0) {
        uint32_t *chain = chain_of(keyed, key);
        uint32_t index = keyed->free;
        line = &keyed->lines[index - 1];
        keyed->free = line->next;
        keyed->active++;
        line->key = key;
        line->used = true;
        line->next = *chain;
        *chain = index;
        weir__wake_matching(keyed, waits_for_key, &key);
    }
    if (line != NULL)
        line->submits++;
    return line;
}

/* The serial has no task, and its mutex is held. */
static void give_back_locked(weir_keyed *keyed, struct line *line)
{
    if (!line->used || line->submits != 0)
        return;
    uint32_t index = (uint32_t)(line - keyed->lines) + 1;
    uint32_t *at = chain_of(keyed, line->key);
    while (*at != index)
        at = &keyed->lines[*at - 1].next;
    *at = line->next;
    line->used = false;
    line->next = keyed->free;
    keyed->free = index;
    keyed->active--;
    weir__wake_one(keyed);
    if (keyed->active == 0)
        weir__wake_all(&keyed->active);
}

static void emptied(struct serial *serial)
{
    struct line *line = container_of((weir_serial *)serial, struct line, serial);
    mutex_lock(&line->keyed->lock);
    give_back_locked(line->keyed, line);
    mutex_unlock(&line->keyed->lock);
}

void weir__keyed_leave(struct line *line)
{
    struct serial *serial = serial_of(line);
    weir_keyed *keyed = line->keyed;
    mutex_lock(&serial->mutex);
    mutex_lock(&keyed->lock);
    line->submits--;
    if (serial_drained_locked(serial))
        give_back_locked(keyed, line);
    mutex_unlock(&keyed->lock);
    mutex_unlock(&serial->mutex);
}

/* Making. */

void weir__keyed_release(weir_keyed *keyed)
{
    weir__free(keyed->chains);
    weir__free(keyed->lines);
    weir__free(keyed);
}

int weir__keyed_build(weir_keyed *keyed, const weir_keyed_options *options)
{
    uint32_t chains = 2;
    keyed->shift = 63;
    for (; chains < keyed->keys; chains *= 2)
        keyed->shift--;
    keyed->factor = (uint64_t)random_below(UINT32_MAX) << 32 | random_below(UINT32_MAX) | 1;
    keyed->chains = weir__alloc(chains, sizeof *keyed->chains);
    keyed->lines = weir__alloc(keyed->keys, sizeof *keyed->lines);
    if (keyed->chains == NULL || keyed->lines == NULL)
        return -ENOMEM;
    int err = 0; /* none, but for those that the caller has found not to be */
    for (uint32_t i = 0; err == 0 && i < keyed->keys; i++) {
        struct line *line = &keyed->lines[i];
        err = weir_serial_init(&line->serial, keyed->pool,
                               WEIR_SERIAL_OPTIONS(.parallel = options->parallel,
                                                   .batch = options->batch, .limit = options->limit,
                                                   .lane = options->lane));
        serial_of(line)->emptied = emptied;
        line->keyed = keyed;
        line->next = i + 1 < keyed->keys ? i + 2 : 0;
    }
    keyed->free = 1;
    return err;
}
