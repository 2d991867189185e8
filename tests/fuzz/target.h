/* SPDX-License-Identifier: MIT */
/* target.h - runs one input: its first byte names the program. */
#ifndef WEIR_TESTS_FUZZ_TARGET_H
#define WEIR_TESTS_FUZZ_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct program;

/* Returns NULL, or why the run failed. `trace`: tells it step by step. */
const char *target_run(const uint8_t *bytes, size_t size, bool trace);
const struct program *target_program(const uint8_t *bytes, size_t size);

#endif
