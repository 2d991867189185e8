/* SPDX-License-Identifier: MIT */
/* model.c - what the explorer's model permits and what it forbids, by the usual small programs,
 * with their usual names.
 */
#include "litmus.h"

/* weir has none, as exchanges do for it. */
#define store_seqcst(p, v) STORE(p, v, "store_seqcst", SEQCST)

#define x (&litmus_words[0])
#define y (&litmus_words[1])
#define z (&litmus_words[2])
#define a litmus_results[0]
#define b litmus_results[1]
#define c litmus_results[2]
#define d litmus_results[3]

/* SB: each writes one word and reads the other. */

static void sb_left(void)
{
    (void)xchg_seqcst(x, 1);
    a = load_seqcst(y);
}

static void sb_right(void)
{
    (void)xchg_seqcst(y, 1);
    b = load_seqcst(x);
}

static void sb_right_acqrel(void)
{
    (void)xchg_acqrel(y, 1);
    b = load_acq(x);
}

static bool both_old(void)
{
    return a == 0 && b == 0;
}

/* MP: one writes a word and then a flag. */

static void mp_left(void)
{
    store_rlx(x, 1);
    store_rel(y, 1);
}

static void mp_right(void)
{
    a = load_acq(y);
    b = load_rlx(x);
}

static bool flag_without_word(void)
{
    return a == 1 && b == 0;
}

static void mp_left_relaxed(void)
{
    store_rlx(x, 1);
    store_rlx(y, 1);
}

/* The flag is passed on: a relaxed read-modify-write carries the release; a store does not. */

static void mp_middle(void)
{
    c = add_rlx(y, 1);
}

static void mp_middle_stores(void)
{
    c = load_rlx(y);
    store_rlx(y, 2);
}

static bool flag_passed_on(void)
{
    return c == 1 && a == 2 && b == 0;
}

/* Since C++20 a later relaxed store of the releasing thread does not carry it either. */

static void mp_left_again(void)
{
    store_rlx(x, 1);
    store_rel(y, 1);
    store_rlx(y, 2);
}

static bool flag_stored_again(void)
{
    return a == 2 && b == 0;
}

/* WRC: what was seen is seen by whoever is told. */

static void wrc_first(void)
{
    store_rlx(x, 1);
}

static void wrc_second(void)
{
    c = load_rlx(x);
    store_rel(y, 1);
}

static bool told_but_not_seen(void)
{
    return c == 1 && a == 1 && b == 0;
}

/* IRIW: two writers, two readers that see them in different orders. */

static void write_x(void)
{
    (void)xchg_seqcst(x, 1);
}

static void write_y(void)
{
    (void)xchg_seqcst(y, 1);
}

static void read_x_y(void)
{
    a = load_seqcst(x);
    b = load_seqcst(y);
}

static void read_y_x(void)
{
    c = load_seqcst(y);
    d = load_seqcst(x);
}

static void read_x_y_acq(void)
{
    a = load_acq(x);
    b = load_acq(y);
}

static bool different_orders(void)
{
    return a == 1 && b == 0 && c == 1 && d == 0;
}

/* 2+2W: each writes both words, in opposite order, and both first writes are the last. */

static void store_x_y(void)
{
    store_rlx(x, 1);
    store_rlx(y, 2);
}

static void store_y_x(void)
{
    store_rlx(y, 1);
    store_rlx(x, 2);
}

static void store_x_y_seqcst(void)
{
    store_seqcst(x, 1);
    store_seqcst(y, 2);
}

static void store_y_x_seqcst(void)
{
    store_seqcst(y, 1);
    store_seqcst(x, 2);
}

static bool first_are_last(void)
{
    return load_rlx(x) == 1 && load_rlx(y) == 1;
}

/* S: a store that comes late, before one of the thread that has been told of it. */

static void s_left(void)
{
    store_rlx(x, 2);
    store_rel(y, 1);
}

static void s_right(void)
{
    a = load_acq(y);
    store_rlx(x, 1);
}

static void s_left_relaxed(void)
{
    store_rlx(x, 2);
    store_rlx(y, 1);
}

static bool told_and_overwritten(void)
{
    return a == 1 && load_rlx(x) == 2;
}

/* R: a store that comes late, and a load. */

static void r_left(void)
{
    store_seqcst(x, 1);
    store_seqcst(y, 1);
}

static void r_right(void)
{
    store_seqcst(y, 2);
    a = load_seqcst(x);
}

static bool late_and_old(void)
{
    return load_rlx(y) == 2 && a == 0;
}

/* Nothing comes between a read-modify-write and what it read. */

static void add_twice(void)
{
    (void)add_rlx(x, 1);
    (void)add_rlx(x, 1);
}

static void add_and_store(void)
{
    (void)add_rlx(x, 1);
    store_rlx(y, 1);
}

static bool addition_lost(void)
{
    return load_rlx(x) != 3;
}

/* CoRR: two looks at one word do not go back. */

static void look_twice(void)
{
    a = load_rlx(x);
    b = load_rlx(x);
}

static bool went_back(void)
{
    return a == 1 && b == 0;
}

/* A sequentially consistent load misses a store that is, though it is told of it: by a relaxed
 * store of the one and a relaxed load of the other. Were one of those release, the other acquire,
 * it would not. */

static void store_and_tell(void)
{
    (void)xchg_seqcst(x, 1);
    store_rlx(y, 1);
}

static void told_and_load(void)
{
    a = load_rlx(y);
    b = load_seqcst(x);
}

static void store_and_release(void)
{
    (void)xchg_seqcst(x, 1);
    store_rel(y, 1);
}

static void acquire_and_load(void)
{
    a = load_acq(y);
    b = load_seqcst(x);
}

/* RWC: one writes a word, one reads it and then another word, one writes that and reads the first.
 * If the first read only acquires, happens-before leads from the write to the second read, and yet
 * they need not be in that order: there is nothing else between the write and its reader. */

static void rwc_reader(void)
{
    a = load_seqcst(x);
    b = load_seqcst(z);
}

static void rwc_reader_acquires(void)
{
    a = load_acq(x);
    b = load_seqcst(z);
}

static void rwc_reader_is_told(void)
{
    a = load_acq(y);
    b = load_seqcst(z);
}

static void rwc_last(void)
{
    (void)xchg_seqcst(z, 1);
    c = load_seqcst(x);
}

static bool order_in_a_circle(void)
{
    return a == 1 && b == 0 && c == 0;
}

/* Z6.U: a change of the word by which a thread is told is itself in the order, but what was done
 * before it was told need not be before it: POWER's compilation needs that. (From "Repairing
 * sequential consistency in C/C++11".) */

static void z6_first(void)
{
    store_seqcst(x, 1);
    store_rel(y, 1);
}

static void z6_second(void)
{
    a = add_seqcst(y, 1);
    b = load_rlx(y);
}

static void z6_third(void)
{
    store_seqcst(y, 3);
    c = load_seqcst(x);
}

static bool told_before_and_after(void)
{
    return a == 1 && b == 3 && c == 0;
}

/* LB: each reads what the other one stores only later; unless one of them releases it and the other
 * one acquires it. */

static void lb_left(void)
{
    a = load_rlx(x);
    store_rlx(y, 1);
}

static void lb_right(void)
{
    b = load_rlx(y);
    store_rlx(x, 1);
}

static void lb_left_releases(void)
{
    a = load_rlx(x);
    store_rel(y, 1);
}

static void lb_right_acquires(void)
{
    b = load_acq(y);
    store_rlx(x, 1);
}

static bool both_from_later(void)
{
    return a == 1 && b == 1;
}

const struct litmus litmus_model[] = {
    {"SB", NEVER, true, {sb_left, sb_right}, both_old, {0}},
    {"SB, one half acq_rel", SOMETIMES, false, {sb_left, sb_right_acqrel}, both_old, {0}},
    {"MP", NEVER, true, {mp_left, mp_right}, flag_without_word, {0}},
    {"MP, relaxed", SOMETIMES, false, {mp_left_relaxed, mp_right}, flag_without_word, {0}},
    {"MP, passed on", NEVER, true, {mp_left, mp_middle, mp_right}, flag_passed_on, {0}},
    {"MP, stored on", SOMETIMES, false, {mp_left, mp_middle_stores, mp_right}, flag_passed_on, {0}},
    {"MP, stored again", SOMETIMES, false, {mp_left_again, mp_right}, flag_stored_again, {0}},
    {"WRC", NEVER, true, {wrc_first, wrc_second, mp_right}, told_but_not_seen, {0}},
    {"IRIW", NEVER, true, {write_x, write_y, read_x_y, read_y_x}, different_orders, {0}},
    {"IRIW, acquire",
     SOMETIMES,
     false,
     {write_x, write_y, read_x_y_acq, read_y_x},
     different_orders,
     {0}},
    {"2+2W", NEVER, true, {store_x_y_seqcst, store_y_x_seqcst}, first_are_last, {0}},
    {"2+2W, relaxed", SOMETIMES, false, {store_x_y, store_y_x}, first_are_last, {0}},
    {"S", NEVER, true, {s_left, s_right}, told_and_overwritten, {0}},
    {"S, relaxed", SOMETIMES, false, {s_left_relaxed, s_right}, told_and_overwritten, {0}},
    {"R", NEVER, true, {r_left, r_right}, late_and_old, {0}},
    {"atomicity", NEVER, false, {add_twice, add_and_store}, addition_lost, {0}},
    {"CoRR", NEVER, false, {wrc_first, look_twice}, went_back, {0}},
    {"told by relaxed", SOMETIMES, false, {store_and_tell, told_and_load}, flag_without_word, {0}},
    {"told by release",
     NEVER,
     true,
     {store_and_release, acquire_and_load},
     flag_without_word,
     {"store_and_release xchg_seqcst 1 -> acq_rel", "acquire_and_load load_seqcst 1 -> acquire"}},
    {"RWC", NEVER, true, {write_x, rwc_reader, rwc_last}, order_in_a_circle, {0}},
    {"RWC, acquire",
     SOMETIMES,
     false,
     {write_x, rwc_reader_acquires, rwc_last},
     order_in_a_circle,
     {0}},
    {"RWC, told by release",
     NEVER,
     true,
     {store_and_release, rwc_reader_is_told, rwc_last},
     order_in_a_circle,
     {0}},
    {"Z6.U", SOMETIMES, false, {z6_first, z6_second, z6_third}, told_before_and_after, {0}},
    {"LB, relaxed", SOMETIMES, false, {lb_left, lb_right}, both_from_later, {0}},
    {"LB", NEVER, true, {lb_left_releases, lb_right_acquires}, both_from_later, {0}},
    {0},
};
