/* SPDX-License-Identifier: MIT */
/* main.c - runs the suite that the binary was linked with. */
#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/covered.h"
#include "weir/clock.h"

enum { GROUP_TIMEOUT_S = 60, PATIENCE_S = 40 };

TCase *add_group(Suite *suite, const char *name)
{
    TCase *group = tcase_create(name);
    tcase_set_timeout(group, GROUP_TIMEOUT_S);
    suite_add_tcase(suite, group);
    return group;
}

int64_t patience(void)
{
    double factor = 1;
    const char *text = getenv("CK_TIMEOUT_MULTIPLIER");
    if (text != NULL && strtod(text, NULL) > 1)
        factor = strtod(text, NULL);
    return weir_after((int64_t)(factor * (double)WEIR_S(PATIENCE_S)));
}

void give_up(const char *what)
{
    (void)fprintf(stderr, "test support: %s\n", what);
    abort();
}

int main(void)
{
    covered_begin();
    SRunner *runner = srunner_create(weir_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    covered_print();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
