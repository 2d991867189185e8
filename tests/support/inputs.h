/* SPDX-License-Identifier: MIT */
/* inputs.h - the inputs of a fuzz target, from files. */
#ifndef WEIR_TESTS_SUPPORT_INPUTS_H
#define WEIR_TESTS_SUPPORT_INPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INPUT_MOST = 4096 };

/* Calls `run` with what is in the file, of INPUT_MOST bytes at most; or, if it is a folder, in each
 * file in it. False: one cannot be read, and it is said which. */
bool for_each_input(const char *path,
                    void (*run)(const char *path, const uint8_t *bytes, size_t size));

/* Is it a folder? */
bool input_is_folder(const char *path);

#endif
