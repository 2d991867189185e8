/* SPDX-License-Identifier: MIT */
/* unwind.h - a function that is called with the address of a variable when its scope is left, also
 * when a task ends its thread and the stack is unwound. Costs nothing until then; needs
 * -fexceptions. */
#ifndef WEIR_BASE_UNWIND_H
#define WEIR_BASE_UNWIND_H

#define ON_LEAVE(function) __attribute__((cleanup(function)))

#endif
