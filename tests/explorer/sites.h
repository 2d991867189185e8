/* SPDX-License-Identifier: MIT */
/* sites.h - the operations of the library that are stronger than relaxed, and how each may be made
 * weaker.
 *
 * They are read from the records that the compiler has left, so all are here whether a run comes to
 * them or not. A site's name is its file, its function, the operation and which of those it is in
 * the function, "pool/submit.c enqueue load_seqcst 1": it survives edits elsewhere. A site in a
 * header is one site, however many files include it. A mutant is a site with one of the weaker
 * orders.
 */
#ifndef WEIR_TESTS_EXPLORER_SITES_H
#define WEIR_TESTS_EXPLORER_SITES_H

struct mutant {
    char name[120]; /* "SITE -> ORDER" */
    unsigned site;
    unsigned char order; /* enum memory_order */
};

/* Reads the records. Returns the number of sites; writes the mutants, sorted by site, the weakest
 * order of each site first. */
unsigned sites_collect(void);
unsigned mutants_all(const struct mutant **ret_mutants);

/* Makes it happen from now on, and nothing else. */
void mutant_apply(const struct mutant *mutant);

/* Forgets how often sites were met; how often was this one since? */
void sites_forget(void);
unsigned site_met(unsigned site);

#endif
