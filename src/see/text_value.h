/* SPDX-License-Identifier: MIT */
/* text_value.h - numbers as the text format of Prometheus has them. */
#ifndef WEIR_SEE_TEXT_VALUE_H
#define WEIR_SEE_TEXT_VALUE_H

#include "see/text.h"

void weir__text_integer(struct text *text, int64_t number);
/* Nanoseconds as seconds, exactly. */
void weir__text_seconds(struct text *text, uint64_t ns);
/* So many digits that the same number can be read back; NaN, +Inf, -Inf; whatever the locale. */
void weir__text_double(struct text *text, double number);

#endif
