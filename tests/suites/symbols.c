/* SPDX-License-Identifier: MIT */
/* symbols.c - names of functions, out of whatever is mapped; and memory that may not be there. */
#include "support/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/peek.h"
#include "os/symbol.h"

static __attribute__((noinline)) int a_function_of_this_file(int n)
{
    return n + 1;
}

static uintptr_t here(void)
{
    return (uintptr_t)a_function_of_this_file;
}

static void assert_symbol(uintptr_t address, const char *name)
{
    char found[128];
    weir__symbol(address, found, sizeof found);
    ck_assert_str_eq(found, name);
}

START_TEST(functions_of_the_program_and_of_libraries)
{
    assert_symbol(here(), "a_function_of_this_file");
    assert_symbol(here() + 1, "a_function_of_this_file"); /* inside of it */
    char found[128];
    weir__symbol((uintptr_t)qsort, found, sizeof found); /* whose library may be stripped */
    ck_assert_msg(strstr(found, "qsort") != NULL || strstr(found, ".so") != NULL, "%s", found);
}
END_TEST

START_TEST(names_are_cut_to_fit)
{
    char found[64];
    for (size_t size = 1; size <= sizeof found; size++) {
        memset(found, '#', sizeof found);
        weir__symbol(here(), found, size);
        ck_assert_uint_lt(strlen(found), size);
        ck_assert_int_eq(strncmp(found, "a_function_of_this_file", size - 1), 0);
        for (size_t i = size; i < sizeof found; i++)
            ck_assert_int_eq(found[i], '#');
    }
    weir__symbol(0, found, 3);
    ck_assert_str_eq(found, "0x");
    weir__symbol(0, found, 1);
    ck_assert_str_eq(found, "");
}
END_TEST

START_TEST(code_that_no_file_has)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(page != MAP_FAILED);
    char name[32];
    (void)snprintf(name, sizeof name, "0x%llx", (unsigned long long)(uintptr_t)page + 16);
    assert_symbol((uintptr_t)page + 16, name);
    ck_assert_int_eq(munmap(page, 4096), 0);
    assert_symbol((uintptr_t)page + 16, name); /* or nothing at all */
    assert_symbol(0, "0x0");
}
END_TEST

/* A file with this content, mapped. */
static void *map_file(const char *content, size_t size, char path[32])
{
    (void)strcpy(path, "/tmp/weir-symbols-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, content, size), (ssize_t)size);
    void *memory = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    ck_assert(memory != MAP_FAILED);
    ck_assert_int_eq(close(fd), 0);
    return memory;
}

START_TEST(files_without_names)
{
    char path[32], name[64];
    void *memory = map_file("no program at all", 18, path);
    (void)snprintf(name, sizeof name, "%s+0x10", strrchr(path, '/') + 1);
    assert_symbol((uintptr_t)memory + 16, name);
    ck_assert_int_eq(unlink(path), 0);
    (void)snprintf(name, sizeof name, "%s (deleted)+0x10", strrchr(path, '/') + 1);
    assert_symbol((uintptr_t)memory + 16, name);
    ck_assert_int_eq(munmap(memory, 18), 0);
}
END_TEST

static uint64_t dice = 1;

static size_t roll(size_t n)
{
    dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (size_t)(dice >> 33) % n;
}

/* This program, cut off or with wrong bytes in its headers: whatever is told, it comes to an end.
 */
START_TEST(files_that_are_broken)
{
    enum { TRIALS = 100, MOST = 1 << 22 };
    char path[32], found[128];
    char *whole = malloc(MOST), *broken = malloc(MOST);
    ck_assert(whole != NULL && broken != NULL);
    int fd = open("/proc/self/exe", O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ssize_t size = read(fd, whole, MOST);
    ck_assert_int_gt(size, 4096);
    ck_assert_int_eq(close(fd), 0);
    for (unsigned i = 0; i < TRIALS; i++) {
        size_t length = i % 4 == 0 ? roll((size_t)size) + 1 : (size_t)size;
        memcpy(broken, whole, length);
        for (size_t k = roll(8); k > 0; k--)
            broken[roll(length < 1024 ? length : 1024)] = (char)roll(256);
        for (size_t k = roll(8); k > 0; k--) /* and at the end, where the sections are */
            broken[length - 1 - roll(length < 4096 ? length : 4096)] = (char)roll(256);
        char *memory = map_file(broken, length, path);
        weir__symbol((uintptr_t)memory + roll(length), found, sizeof found);
        ck_assert_uint_lt(strlen(found), sizeof found);
        ck_assert_int_eq(munmap(memory, length), 0);
        ck_assert_int_eq(unlink(path), 0);
    }
    free(whole);
    free(broken);
}
END_TEST

START_TEST(memory_that_is_not_there)
{
    long page = sysconf(_SC_PAGESIZE);
    char *pages =
        mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(pages != MAP_FAILED);
    char text[64], *end = pages + page;
    int number = 7;
    ck_assert(weir__peek(&number, text, sizeof number));
    ck_assert_int_eq(memcmp(text, &number, sizeof number), 0);
    memcpy(end - 3, "abcdef", 7);
    ck_assert(weir__peek_text(end - 3, text, sizeof text)); /* across the end of a page */
    ck_assert_str_eq(text, "abcdef");
    ck_assert(weir__peek_text(end - 3, text, 5));
    ck_assert_str_eq(text, "abcd");
    ck_assert_int_eq(munmap(end, (size_t)page), 0);
    memcpy(end - 3, "ab", 3); /* up to the end, and there is nothing behind it */
    ck_assert(weir__peek_text(end - 3, text, sizeof text));
    ck_assert_str_eq(text, "ab");
    end[-1] = 'c'; /* no end */
    ck_assert(!weir__peek_text(end - 3, text, sizeof text));
    ck_assert(!weir__peek(end, text, 1));
    ck_assert(!weir__peek(NULL, text, 1));
    ck_assert_int_eq(munmap(pages, (size_t)page), 0);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("symbols");
    TCase *symbols = add_group(suite, "symbols");
    tcase_add_test(symbols, functions_of_the_program_and_of_libraries);
    tcase_add_test(symbols, names_are_cut_to_fit);
    tcase_add_test(symbols, code_that_no_file_has);
    tcase_add_test(symbols, files_without_names);
    tcase_add_test(symbols, files_that_are_broken);
    TCase *peek = add_group(suite, "peek");
    tcase_add_test(peek, memory_that_is_not_there);
    return suite;
}
