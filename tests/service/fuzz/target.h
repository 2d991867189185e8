/* SPDX-License-Identifier: MIT */
/* target.h - runs one input: its first byte names what is to read the others. */
#ifndef WEIR_TESTS_SERVICE_FUZZ_TARGET_H
#define WEIR_TESTS_SERVICE_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

/* Aborts, with a sentence, if what was read is wrong. */
void target_run(const uint8_t *bytes, size_t size);

/* Frees what the runs have shared. */
void target_end(void);

#endif
