/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { FRESH = 0xA5, DEAD = 0xDD };

uint8_t arena_places[ARENA_LINES];
static char *const arena = (char *)ARENA_BASE;
static uint32_t lines_of_object[ARENA_LINES];
static size_t used; /* lines */
static unsigned live;

void arena_init(void)
{
    void *got = mmap(arena, ARENA_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != (void *)arena) {
        perror("explorer: mmap");
        exit(EXIT_FAILURE);
    }
    memset(arena_places, PLACE_UNUSED, sizeof arena_places);
}

void arena_reset(void)
{
    memset(arena_places, PLACE_UNUSED, used);
    used = 0;
    live = 0;
}

void *arena_alloc(size_t size)
{
    size_t lines = size / ARENA_LINE + 1; /* at times one more than needed: a gap */
    if (lines > ARENA_LINES - used)
        return NULL;
    size_t first = used;
    used += lines;
    live++;
    memset(arena_places + first, PLACE_LIVE, lines);
    lines_of_object[first] = (uint32_t)lines;
    return memset(arena + ARENA_STACKS_END + first * ARENA_LINE, FRESH, lines * ARENA_LINE);
}

void arena_free(void *memory)
{
    size_t first = (size_t)((char *)memory - arena - ARENA_STACKS_END) / ARENA_LINE;
    size_t lines = lines_of_object[first];
    memset(arena_places + first, PLACE_FREED, lines);
    memset(memory, DEAD, lines * ARENA_LINE);
    live--;
}

size_t arena_object_size(const void *memory)
{
    size_t first = (size_t)((const char *)memory - arena - ARENA_STACKS_END) / ARENA_LINE;
    return (size_t)lines_of_object[first] * ARENA_LINE;
}

unsigned arena_live_objects(void)
{
    return live;
}
