/* SPDX-License-Identifier: MIT */
/* breakpoint.h - stops a traced thread at an instruction, by the registers that the CPU has for it:
 * other threads run through the same code undisturbed, and the code stays as it is.
 */
#ifndef WEIR_TESTS_BREAKPOINT_H
#define WEIR_TESTS_BREAKPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The address of the next instruction of a thread that has stopped; 0: there is no telling. */
uintptr_t breakpoint_place(pid_t thread);

/* The thread stops before each instruction at `code`, and after each change of the int at `data`.
 * False: this machine cannot. */
bool breakpoint_set(pid_t thread, uintptr_t code, const void *data);
void breakpoint_clear(pid_t thread);

#endif
