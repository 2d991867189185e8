/* SPDX-License-Identifier: MIT */
/* symbol.h - the name of a function, for a program that may be stuck anywhere.
 *
 * dladdr takes the loader's lock, and a constructor or destructor of a library that is stuck holds
 * it. So this asks the kernel which file is mapped there, and reads the names from that file: no
 * lock of the process, no memory but the stack's. It is slow: some system calls for each name.
 */
#ifndef WEIR_OS_SYMBOL_H
#define WEIR_OS_SYMBOL_H

#include <stddef.h>
#include <stdint.h>

/* Writes the name of the function at an address; without one, the file's and the place in it
 * ("libx.so+0x1a40"), as addr2line wants it; without a file, the address. Cut to `size`. */
void weir__symbol(uintptr_t address, char *ret, size_t size);

#endif
