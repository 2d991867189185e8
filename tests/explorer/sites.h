/* SPDX-License-Identifier: MIT */
/* sites.h - the operations of the library that are stronger than relaxed, and how each may be made
 * weaker.
 *
 * They are read from the records that the compiler has left, so all are here whether a run comes to
 * them or not. A site's name is its file, its function, the operation and which of those it is in
 * the function, "pool/submit.c enqueue load_seqcst 1": it survives edits elsewhere. A site in a
 * header is one site, however many files include it. A mutant is a site with one of the weaker
 * orders, or two sites of one protocol, each with one that alone does no harm: one order may cover
 * for the other.
 */
#ifndef WEIR_TESTS_EXPLORER_SITES_H
#define WEIR_TESTS_EXPLORER_SITES_H

#include <stdbool.h>

struct mutant {
    char name[240]; /* "SITE -> ORDER", or two with " & " between them */
    unsigned parts; /* 1 or 2 */
    unsigned sites[2];
    unsigned char orders[2]; /* enum memory_order */
};

enum { MAX_PAIRS = 512 };

/* Reads the records. Returns the number of sites; writes the mutants of one site, sorted by site,
 * the weakest order of each site first. Behind them there is room for MAX_PAIRS. */
unsigned sites_collect(void);
unsigned mutants_all(const struct mutant **ret_mutants);

/* Are both of one protocol, but not of one site? */
bool mutants_meet(const struct mutant *first, const struct mutant *second);
/* Adds the pair of two mutants behind all others. */
void mutants_add_pair(const struct mutant *first, const struct mutant *second);

/* Makes it happen from now on, and nothing else. */
void mutant_apply(const struct mutant *mutant);

/* Forgets how often sites were met; how often was this one since? */
void sites_forget(void);
unsigned site_met(unsigned site);

#endif
