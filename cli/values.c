/* SPDX-License-Identifier: MIT */
/* values.c - reads the values of options. No locale, no sign, no blanks: what strtod and its kin
 * would let pass besides is refused.
 */
#include "values.h"

#include <string.h>

#define NS_PER_MS 1e6
#define NS_PER_S 1e9

bool read_number(const char *text, int64_t least, int64_t most, int64_t *ret)
{
    int64_t value = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || value > (INT64_MAX - 9) / 10)
            return false;
        value = value * 10 + (*text - '0');
    }
    if (value < least || value > most)
        return false;
    *ret = value;
    return true;
}

bool read_decimal(const char *text, double *ret, const char **ret_rest)
{
    double value = 0;
    double scale = 1;
    bool digits = false;
    bool fraction = false;
    for (;; text++) {
        if (*text == '.' && !fraction) {
            fraction = true;
        } else if (*text >= '0' && *text <= '9') {
            digits = true;
            value = value * 10 + (*text - '0');
            scale *= fraction ? 10 : 1;
        } else {
            break;
        }
    }
    if (!digits || value > 1e300 || scale > 1e300)
        return false;
    *ret = value / scale;
    *ret_rest = text;
    return true;
}

static bool to_integer(double value, int64_t *ret)
{
    if (value >= 9.2e18)
        return false;
    *ret = (int64_t)value;
    return true;
}

bool read_duration(const char *text, int64_t *ret)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {
        {"", NS_PER_S},       {"ms", NS_PER_MS},      {"s", NS_PER_S},
        {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S},
    };
    double value;
    const char *unit;
    if (!read_decimal(text, &value, &unit))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(unit, units[i].name) == 0)
            return to_integer(value * units[i].ns + 0.5, ret);
    return false;
}

bool read_size(const char *text, int64_t *ret)
{
    static const char prefixes[] = "kKMmGgTt";
    double value;
    const char *unit;
    if (!read_decimal(text, &value, &unit))
        return false;
    if (*unit != '\0') {
        const char *found = strchr(prefixes, *unit);
        if (found == NULL || unit[1] != '\0')
            return false;
        for (long power = (found - prefixes) / 2; power >= 0; power--)
            value *= 1024;
    }
    return to_integer(value, ret);
}

bool read_percent(const char *text, double *ret)
{
    double value;
    const char *rest;
    if (!read_decimal(text, &value, &rest) || strcmp(rest, "%") != 0 || value <= 0)
        return false;
    *ret = value;
    return true;
}

static int hex(char digit)
{
    const char *digits = "0123456789abcdef";
    const char *found = strchr(digits, digit >= 'A' && digit <= 'F' ? digit - 'A' + 'a' : digit);
    return digit == '\0' || found == NULL ? -1 : (int)(found - digits);
}

bool read_byte(const char *text, char *ret)
{
    static const char names[] = "ntr0\\";
    static const char bytes[] = "\n\t\r\0\\";
    size_t size = strlen(text);
    if (size == 1) {
        *ret = text[0];
        return true;
    }
    if (size == 2 && text[0] == '\\' && strchr(names, text[1]) != NULL) {
        *ret = bytes[strchr(names, text[1]) - names];
        return true;
    }
    if (size == 4 && text[0] == '\\' && text[1] == 'x' && hex(text[2]) >= 0 && hex(text[3]) >= 0) {
        *ret = (char)(hex(text[2]) * 16 + hex(text[3]));
        return true;
    }
    return false;
}
