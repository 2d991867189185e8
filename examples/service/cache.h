/* SPDX-License-Identifier: MIT */
/* cache.h - the last answers of some searches, for when the database does not answer. */
#ifndef CACHE_H
#define CACHE_H

#include <stddef.h>

struct cache;

int cache_new(struct cache **ret);
void cache_free(struct cache *cache);

/* Keeps a copy; it may take the place of another. Without memory it keeps nothing. */
void cache_put(struct cache *cache, const char *key, const char *value, size_t size);

/* A copy, malloc's, with a NUL behind it; or NULL. */
char *cache_get(struct cache *cache, const char *key, size_t *ret_size);

#endif
