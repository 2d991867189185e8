/* SPDX-License-Identifier: MIT */
/* model.h - shared memory as C11 describes it, and the checks on every access. */
#ifndef WEIR_TESTS_EXPLORER_MODEL_H
#define WEIR_TESTS_EXPLORER_MODEL_H

#include "base/atomic.h"

void model_reset(void);

/* Fails if the memory at `address` was freed, or belongs to a frame or thread that has ended. */
void model_check_address(const void *address, const char *site);

/* As the kernel looks at a futex: the newest value, without any order for the caller. */
uint64_t model_look(const void *p, size_t size, const char *operation, const char *site);

/* The current thread takes over what was known at `lock` when it was released; leaves it there. */
void model_take(const void *lock);
void model_leave(const void *lock);

/* A plain access: fails if it races with another thread's. */
void model_plain(const void *address, size_t size, bool writes, const void *code);

/* Memory is about to be freed: fails if another thread may still use it. */
void model_free(const void *memory, size_t size);

#endif
