/* SPDX-License-Identifier: MIT */
/* input.h - the bytes of an input: a program is read from the front, the schedule that it runs in
 * from the back, until they meet. So a change of the one leaves the other as it was. */
#ifndef WEIR_TESTS_FUZZ_INPUT_H
#define WEIR_TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void input_set(const uint8_t *bytes, size_t size);

/* The next byte of the program, of the schedule; 0 when there is none left. */
unsigned input_byte(void);
unsigned input_schedule_byte(void);
bool input_left(void);

/* A number below n, for n <= 256. */
unsigned input_below(unsigned n);

/* A time after `now`, never the same one twice: what is to happen at two times never happens at
 * once, so that a model need not say which of the two came first. */
int64_t input_duration(void);

#endif
