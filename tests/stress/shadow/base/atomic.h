/* SPDX-License-Identifier: MIT */
/* atomic.h - the library's atomics with a chance of a delay before each: put before src/ on the
 * include path, it widens every window between two of them. */
#ifndef WEIR_TESTS_STRESS_SHADOW_ATOMIC_H
#define WEIR_TESTS_STRESS_SHADOW_ATOMIC_H

#include "../../../../src/base/atomic.h"

/* Returns at once, or yields, or sleeps a little. In delay.c. */
void delay_at_random(void);

#define DELAYED(operation) (delay_at_random(), operation)

#undef load_rlx
#undef load_acq
#undef load_seqcst
#undef store_rlx
#undef store_rel
#undef store_ahead_seqcst
#undef xchg_acqrel
#undef xchg_seqcst
#undef cas_rlx
#undef cas_acq
#undef cas_rel
#undef cas_acqrel
#undef cas_seqcst
#undef add_rlx
#undef add_rel
#undef add_acqrel
#undef add_seqcst
#undef sub_rlx
#undef sub_acqrel
#undef sub_seqcst
#undef or_seqcst

#define ORDER(name) memory_order_##name

#define load_rlx(p) DELAYED(atomic_load_explicit((p), ORDER(relaxed)))
#define load_acq(p) DELAYED(atomic_load_explicit((p), ORDER(acquire)))
#define load_seqcst(p) DELAYED(atomic_load_explicit((p), ORDER(seq_cst)))
#define store_rlx(p, v) DELAYED(atomic_store_explicit((p), (v), ORDER(relaxed)))
#define store_rel(p, v) DELAYED(atomic_store_explicit((p), (v), ORDER(release)))
#define store_ahead_seqcst(p, v) DELAYED(atomic_store_explicit((p), (v), ORDER(seq_cst)))
#define xchg_acqrel(p, v) DELAYED(atomic_exchange_explicit((p), (v), ORDER(acq_rel)))
#define xchg_seqcst(p, v) DELAYED(atomic_exchange_explicit((p), (v), ORDER(seq_cst)))
#define cas_rlx(p, expected, v)                                                                    \
    DELAYED(atomic_compare_exchange_strong_explicit((p), (expected), (v), ORDER(relaxed),          \
                                                    ORDER(relaxed)))
#define cas_acq(p, expected, v)                                                                    \
    DELAYED(atomic_compare_exchange_strong_explicit((p), (expected), (v), ORDER(acquire),          \
                                                    ORDER(acquire)))
#define cas_rel(p, expected, v)                                                                    \
    DELAYED(atomic_compare_exchange_strong_explicit((p), (expected), (v), ORDER(release),          \
                                                    ORDER(relaxed)))
#define cas_acqrel(p, expected, v)                                                                 \
    DELAYED(atomic_compare_exchange_strong_explicit((p), (expected), (v), ORDER(acq_rel),          \
                                                    ORDER(acquire)))
#define cas_seqcst(p, expected, v)                                                                 \
    DELAYED(atomic_compare_exchange_strong_explicit((p), (expected), (v), ORDER(seq_cst),          \
                                                    ORDER(seq_cst)))
#define add_rlx(p, n) DELAYED(atomic_fetch_add_explicit((p), (n), ORDER(relaxed)))
#define add_rel(p, n) DELAYED(atomic_fetch_add_explicit((p), (n), ORDER(release)))
#define add_acqrel(p, n) DELAYED(atomic_fetch_add_explicit((p), (n), ORDER(acq_rel)))
#define add_seqcst(p, n) DELAYED(atomic_fetch_add_explicit((p), (n), ORDER(seq_cst)))
#define sub_rlx(p, n) DELAYED(atomic_fetch_sub_explicit((p), (n), ORDER(relaxed)))
#define sub_acqrel(p, n) DELAYED(atomic_fetch_sub_explicit((p), (n), ORDER(acq_rel)))
#define sub_seqcst(p, n) DELAYED(atomic_fetch_sub_explicit((p), (n), ORDER(seq_cst)))
#define or_seqcst(p, n) DELAYED(atomic_fetch_or_explicit((p), (n), ORDER(seq_cst)))

#endif
