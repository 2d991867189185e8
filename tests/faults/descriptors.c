/* SPDX-License-Identifier: MIT */
/* descriptors.c - a completion whose descriptors cannot be set up. Where they come ready from the
 * kernel (eventfd) no call is there to fail; where there is a pipe, each in turn does.
 */
#include "support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include "support/covered.h"
#include "weir.h"

static atomic_uint calls, failing; /* since the last change; which one is to fail, or 0 */

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);

static int controlled(int fd, int command, int argument)
{
    unsigned call = atomic_fetch_add(&calls, 1) + 1;
    if (call == atomic_load(&failing)) {
        errno = ENOMEM;
        return -1;
    }
    return __real_fcntl(fd, command, argument);
}

#define CONTROLLED(fd, command)                                                                    \
    __extension__({                                                                                \
        va_list list;                                                                              \
        va_start(list, command);                                                                   \
        int argument = (command) == F_GETFL ? 0 : va_arg(list, int);                               \
        va_end(list);                                                                              \
        controlled(fd, command, argument);                                                         \
    })

int __wrap_fcntl(int fd, int command, ...)
{
    return CONTROLLED(fd, command);
}

/* What fcntl is called where offsets have 64 bits. */
int __wrap_fcntl64(int fd, int command, ...)
{
    return CONTROLLED(fd, command);
}

/* The number that the next descriptor will get. */
static int next_descriptor(void)
{
    int fd = dup(STDERR_FILENO);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    return fd;
}

START_TEST(a_completion_whose_descriptors_cannot_be_set_up_is_refused_and_leaves_none)
{
    int next = next_descriptor();
    unsigned failed = 0;
    for (;; failed++) {
        weir_completion *completion = NULL;
        atomic_store(&calls, 0);
        atomic_store(&failing, failed + 1);
        int err = weir_completion_new(&completion, 1);
        if (err == 0) {
            weir_completion_free(completion);
            break;
        }
        ck_assert_int_eq(err, -ENOMEM);
        ck_assert_ptr_null(completion);
        ck_assert_int_eq(next_descriptor(), next);
    }
    ck_assert_uint_eq(atomic_load(&calls), failed); /* each of them was the one that fails */
    ck_assert_int_eq(next_descriptor(), next);
    covered("completions refused", failed);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("faults_descriptors");
    TCase *setup = add_group(suite, "setup");
    tcase_add_test(setup,
                   a_completion_whose_descriptors_cannot_be_set_up_is_refused_and_leaves_none);
    return suite;
}
