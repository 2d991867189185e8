/* SPDX-License-Identifier: MIT */
/* families.h - which metrics the objects of each kind have. */
#ifndef WEIR_SEE_FAMILIES_H
#define WEIR_SEE_FAMILIES_H

#include "weir/stats.h"

#include "see/entry.h"

enum { FAMILY_VALUES = 8 }; /* the most that one object has in one family */

/* Instead of a value: this object has none of that label. */
#define NO_VALUE INT64_MIN

struct family {
    enum kind kind;
    enum type type;
    const char *name, *help;
    const char *label; /* that tells the values of one object apart, or NULL: there is one */
    const char *const *values; /* of that label, up to a NULL */
    void (*read)(const void *object, int64_t ret[FAMILY_VALUES]);
    bool seconds; /* what `read` gives are ns */
    void (*read_histogram)(const void *,
                           weir_histogram *ret); /* of ns; of a histogram, no `read` */
};

extern const struct family weir__families[];
extern const size_t weir__family_count;

#endif
