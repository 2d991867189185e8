/* SPDX-License-Identifier: MIT */
/* cache.c - the last answers of some searches, for when the database does not answer.
 *
 * A table of fixed size, one answer a place, of limited length: it cannot grow. */
#include "cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES = 512, LONGEST = 16384 };

struct cache {
    pthread_mutex_t lock;
    struct entry {
        char *key, *value; /* one block */
        size_t size;
    } entries[PLACES];
};

int cache_new(struct cache **ret)
{
    struct cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return -ENOMEM;
    pthread_mutex_init(&cache->lock, NULL);
    *ret = cache;
    return 0;
}

void cache_free(struct cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < PLACES; i++)
        free(cache->entries[i].key);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct entry *place_of(struct cache *cache, const char *key)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (const char *c = key; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
    return &cache->entries[(hash ^ (hash >> 32)) % PLACES];
}

void cache_put(struct cache *cache, const char *key, const char *value, size_t size)
{
    size_t n = strlen(key) + 1;
    char *block = n + size > LONGEST ? NULL : malloc(n + size + 1);
    if (block == NULL)
        return;
    memcpy(block, key, n);
    memcpy(block + n, value, size);
    block[n + size] = '\0';
    struct entry *entry = place_of(cache, key);
    pthread_mutex_lock(&cache->lock);
    char *old = entry->key;
    *entry = (struct entry){block, block + n, size};
    pthread_mutex_unlock(&cache->lock);
    free(old);
}

char *cache_get(struct cache *cache, const char *key, size_t *ret_size)
{
    char *value = NULL;
    struct entry *entry = place_of(cache, key);
    pthread_mutex_lock(&cache->lock);
    if (entry->key != NULL && strcmp(entry->key, key) == 0 &&
        (value = malloc(entry->size + 1)) != NULL) {
        memcpy(value, entry->value, entry->size + 1);
        *ret_size = entry->size;
    }
    pthread_mutex_unlock(&cache->lock);
    return value;
}
