/* SPDX-License-Identifier: MIT */
/* atomic.h - the library's atomic operations as calls into the memory model of the explorer.
 *
 * Takes the place of src/base/atomic.h and has the same operations. Each one is a point at which
 * another thread may run, and is known by the place in the source where it stands.
 */
#ifndef WEIR_BASE_ATOMIC_H
#define WEIR_BASE_ATOMIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_LINE 64

/* The model keeps the history; the memory itself holds the newest value. */
#define atomic(T) __typeof__(T)

enum memory_order { RLX, ACQ, REL, ACQREL, SEQCST };
enum rmw { RMW_XCHG, RMW_ADD, RMW_OR };

uint64_t model_load(const void *p, size_t size, enum memory_order order, const char *site);
void model_store(void *p, size_t size, uint64_t value, enum memory_order order, const char *site);
uint64_t model_rmw(void *p, size_t size, enum rmw kind, uint64_t operand, enum memory_order order,
                   const char *site);
bool model_cas(void *p, size_t size, void *expected, uint64_t value, enum memory_order order,
               const char *site);

#define SITE_TEXT_(x) #x
#define SITE_TEXT(x) SITE_TEXT_(x)
#define SITE __FILE__ ":" SITE_TEXT(__LINE__)

/* The type of the object without qualifiers, and a value of it as the model keeps it. */
#define UNQUALIFIED(p) __typeof__(((void)0, *(p)))
#define AS_WORD(p, v) ((uint64_t)(UNQUALIFIED(p))(v))
#define ADDRESS(p) ((void *)(uintptr_t)(p))

#define LOAD(p, order) ((UNQUALIFIED(p))model_load((p), sizeof *(p), order, SITE))
#define STORE(p, v, order) model_store(ADDRESS(p), sizeof *(p), AS_WORD(p, v), order, SITE)
#define RMW(p, kind, v, order)                                                                     \
    __extension__({                                                                                \
        UNQUALIFIED(p)                                                                             \
        old_ =                                                                                     \
            (UNQUALIFIED(p))model_rmw(ADDRESS(p), sizeof *(p), kind, AS_WORD(p, v), order, SITE);  \
        old_;                                                                                      \
    })
#define CAS(p, expected, v, order)                                                                 \
    model_cas(ADDRESS(p), sizeof *(p), (expected), AS_WORD(p, v), order, SITE)

#define load_rlx(p) LOAD(p, RLX)
#define load_acq(p) LOAD(p, ACQ)
#define load_seqcst(p) LOAD(p, SEQCST)
#define store_rlx(p, v) STORE(p, v, RLX)
#define store_rel(p, v) STORE(p, v, REL)
#define xchg_acqrel(p, v) RMW(p, RMW_XCHG, v, ACQREL)
#define xchg_seqcst(p, v) RMW(p, RMW_XCHG, v, SEQCST)
#define cas_acqrel(p, expected, v) CAS(p, expected, v, ACQREL)
#define cas_seqcst(p, expected, v) CAS(p, expected, v, SEQCST)
#define add_rlx(p, n) RMW(p, RMW_ADD, n, RLX)
#define add_rel(p, n) RMW(p, RMW_ADD, n, REL)
#define add_acqrel(p, n) RMW(p, RMW_ADD, n, ACQREL)
#define add_seqcst(p, n) RMW(p, RMW_ADD, n, SEQCST)
#define sub_acqrel(p, n) RMW(p, RMW_ADD, -(uint64_t)(n), ACQREL)
#define sub_seqcst(p, n) RMW(p, RMW_ADD, -(uint64_t)(n), SEQCST)
#define or_seqcst(p, n) RMW(p, RMW_OR, n, SEQCST)

/* Time does not pass while a thread pauses. */
static inline void cpu_relax(unsigned n)
{
    (void)n;
}

#endif
