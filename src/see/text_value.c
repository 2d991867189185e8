/* SPDX-License-Identifier: MIT */
#include "see/text_value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void weir__text_integer(struct text *text, int64_t number)
{
    if (number < 0)
        weir__text(text, "-");
    weir__text_number(text, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

void weir__text_seconds(struct text *text, uint64_t ns)
{
    char fraction[16];
    (void)snprintf(fraction, sizeof fraction, ".%09" PRIu64, ns % 1000000000);
    weir__text_number(text, ns / 1000000000);
    weir__text(text, fraction);
}

/* The C library writes the decimal point of the program's locale, which may take several bytes. */
static void put_with_point(struct text *text, char *number)
{
    static const char plain[] = "0123456789+-e";
    size_t whole = strspn(number, plain);
    char *rest = number + whole;
    if (*rest != '\0') {
        char *fraction = rest + strcspn(rest, plain);
        *rest = '\0';
        weir__text(text, number);
        weir__text(text, ".");
        rest = fraction;
    } else {
        rest = number;
    }
    weir__text(text, rest);
}

void weir__text_double(struct text *text, double number)
{
    if (isnan(number) || isinf(number)) {
        weir__text(text, isnan(number) ? "NaN" : number > 0 ? "+Inf" : "-Inf");
        return;
    }
    char digits[64];
    (void)snprintf(digits, sizeof digits, "%.15g", number);
    if (strtod(digits, NULL) != number)
        (void)snprintf(digits, sizeof digits, "%.17g", number);
    put_with_point(text, digits);
}
