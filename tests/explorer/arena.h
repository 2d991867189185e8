/* SPDX-License-Identifier: MIT */
/* arena.h - the memory that an explored run uses: threads, stacks and objects at fixed addresses.
 *
 * Addresses are the same in every run, because the library hashes them. Memory that was freed is
 * not used again within a run, so that any later access to it is seen.
 */
#ifndef WEIR_TESTS_EXPLORER_ARENA_H
#define WEIR_TESTS_EXPLORER_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_THREADS = 8, STACK_SIZE = 64 * 1024 };

void arena_init(void);
/* Forgets all objects. */
void arena_reset(void);

/* Where a thread's own data are (one page), and its stack. */
void *arena_thread_page(unsigned thread);
char *arena_stack(unsigned thread);

void *arena_alloc(size_t size);
void arena_free(void *memory);
/* As it was asked for, and up to a line more. */
size_t arena_object_size(const void *memory);
unsigned arena_live_objects(void);

enum place { PLACE_UNKNOWN, PLACE_LIVE, PLACE_FREED, PLACE_UNUSED, PLACE_THREAD, PLACE_STACK };

/* What is at an address; for a stack or a thread's data also whose. */
enum place arena_place(const void *address, unsigned *ret_thread);

/* Position of an address in memory that runs use, to index data about it; false: not in there. */
bool arena_offset(const void *address, size_t *ret_offset);
size_t arena_size(void);

#endif
