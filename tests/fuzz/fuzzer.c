/* SPDX-License-Identifier: MIT */
/* fuzzer.c - what libFuzzer calls. A run that fails ends the program, and libFuzzer keeps the
 * input: `replay FILE` tells what happens in it. */
#include <stdio.h>
#include <stdlib.h>

#include "programs.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *why = target_run(bytes, size, false);
    if (why == NULL)
        return 0;
    (void)fprintf(stderr, "program %s: %s\n", target_program(bytes, size)->name, why);
    abort();
}
