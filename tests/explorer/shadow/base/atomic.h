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

/* An operation in the program. There is one such record for each, in a section of its own, whether
 * runs come to it or not; for one in a header, in each file that includes it. */
struct site {
    const char *file, *function, *operation;
    const char *base;  /* the file that was compiled */
    const char *place; /* file and line */
    uint32_t number;   /* grows from the beginning of that file to its end */
    uint8_t order;     /* enum memory_order: the one that is written there */
    uint8_t in_force;  /* and the one that is used */
    bool loads, stores;
    uint32_t met; /* how often in explored parts of runs, since it was set to 0 */
} __attribute__((aligned(64)));

uint64_t model_load(const void *p, size_t size, struct site *site);
void model_store(void *p, size_t size, uint64_t value, struct site *site);
uint64_t model_rmw(void *p, size_t size, enum rmw kind, uint64_t operand, struct site *site);
bool model_cas(void *p, size_t size, void *expected, uint64_t value, struct site *site);

#define SITE_TEXT_(x) #x
#define SITE_TEXT(x) SITE_TEXT_(x)
#define SITE __FILE__ ":" SITE_TEXT(__LINE__)

/* The type of the object without qualifiers, and a value of it as the model keeps it. */
#define UNQUALIFIED(p) __typeof__(((void)0, *(p)))
#define AS_WORD(p, v) ((uint64_t)(UNQUALIFIED(p))(v))
#define ADDRESS(p) ((void *)(uintptr_t)(p))

#define RECORD(operation, order, loads, stores)                                                    \
    __extension__({                                                                                \
        static struct site site_ __attribute__((section("weir_sites"), used)) = {                  \
            __FILE__, __func__, operation, __BASE_FILE__, SITE, __COUNTER__,                       \
            order,    order,    loads,     stores,        false};                                  \
        &site_;                                                                                    \
    })

#define LOAD(p, name, order)                                                                       \
    ((UNQUALIFIED(p))model_load((p), sizeof *(p), RECORD(name, order, true, false)))
#define STORE(p, v, name, order)                                                                   \
    model_store(ADDRESS(p), sizeof *(p), AS_WORD(p, v), RECORD(name, order, false, true))
#define RMW(p, kind, v, name, order)                                                               \
    __extension__({                                                                                \
        UNQUALIFIED(p)                                                                             \
        old_ = (UNQUALIFIED(p))model_rmw(ADDRESS(p), sizeof *(p), kind, AS_WORD(p, v),             \
                                         RECORD(name, order, true, true));                         \
        old_;                                                                                      \
    })
#define CAS(p, expected, v, name, order)                                                           \
    model_cas(ADDRESS(p), sizeof *(p), (expected), AS_WORD(p, v), RECORD(name, order, true, true))

#define load_rlx(p) LOAD(p, "load_rlx", RLX)
#define load_acq(p) LOAD(p, "load_acq", ACQ)
#define load_seqcst(p) LOAD(p, "load_seqcst", SEQCST)
#define store_rlx(p, v) STORE(p, v, "store_rlx", RLX)
#define store_rel(p, v) STORE(p, v, "store_rel", REL)
#define store_ahead_seqcst(p, v) STORE(p, v, "store_ahead_seqcst", SEQCST)
#define xchg_acqrel(p, v) RMW(p, RMW_XCHG, v, "xchg_acqrel", ACQREL)
#define xchg_seqcst(p, v) RMW(p, RMW_XCHG, v, "xchg_seqcst", SEQCST)
#define cas_rlx(p, expected, v) CAS(p, expected, v, "cas_rlx", RLX)
#define cas_acq(p, expected, v) CAS(p, expected, v, "cas_acq", ACQ)
#define cas_rel(p, expected, v) CAS(p, expected, v, "cas_rel", REL)
#define cas_acqrel(p, expected, v) CAS(p, expected, v, "cas_acqrel", ACQREL)
#define cas_seqcst(p, expected, v) CAS(p, expected, v, "cas_seqcst", SEQCST)
#define add_rlx(p, n) RMW(p, RMW_ADD, n, "add_rlx", RLX)
#define add_rel(p, n) RMW(p, RMW_ADD, n, "add_rel", REL)
#define add_acqrel(p, n) RMW(p, RMW_ADD, n, "add_acqrel", ACQREL)
#define add_seqcst(p, n) RMW(p, RMW_ADD, n, "add_seqcst", SEQCST)
#define sub_rlx(p, n) RMW(p, RMW_ADD, -(uint64_t)(n), "sub_rlx", RLX)
#define sub_acqrel(p, n) RMW(p, RMW_ADD, -(uint64_t)(n), "sub_acqrel", ACQREL)
#define sub_seqcst(p, n) RMW(p, RMW_ADD, -(uint64_t)(n), "sub_seqcst", SEQCST)
#define or_seqcst(p, n) RMW(p, RMW_OR, n, "or_seqcst", SEQCST)

/* Time does not pass while a thread pauses. */
static inline void cpu_relax(unsigned n)
{
    (void)n;
}

static inline void prefetch_write(const void *address)
{
    (void)address;
}

#endif
