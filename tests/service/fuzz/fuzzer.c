/* SPDX-License-Identifier: MIT */
/* fuzzer.c - what libFuzzer calls. */
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    target_run(bytes, size);
    return 0;
}
