/* SPDX-License-Identifier: MIT */
/* address_tree.h - an intrusive search tree whose keys are addresses: a digital search tree
 * (E. G. Coffman and J. Eve, "File structures using hashing functions", 1970).
 *
 * It needs no memory but its nodes', and no balancing. An address is scrambled by a function that
 * gives no two of them the same result; at each node one bit of that says where to go on. Among n
 * nodes a search takes some log2 n steps, and never more than there are bits.
 *
 * A node may stand anywhere on the way that its bits describe. So any leaf below a node can take
 * its place when it is removed.
 */
#ifndef WEIR_BASE_ADDRESS_TREE_H
#define WEIR_BASE_ADDRESS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_node {
    const void *key;
    struct tree_node **at; /* what points to this node; NULL: it is in no tree */
    struct tree_node *below[2];
};

/* The multiplier is odd, so this can be undone: two addresses never have the same bits. The high
 * ones depend on all of the address. */
static inline uint64_t tree_path(const void *key)
{
    return (uint64_t)(uintptr_t)key * UINT64_C(0x9E3779B97F4A7C15);
}

/* Where the node with this key is, or where it would have to be: then NULL is there. `path` is
 * tree_path(key), or for one of several trees that share the keys out by its first bits, that
 * shifted by as many. */
static inline struct tree_node **tree_find(struct tree_node **root, const void *key, uint64_t path)
{
    struct tree_node **at = root;
    for (; *at != NULL && (*at)->key != key; path <<= 1)
        at = &(*at)->below[path >> 63];
    return at;
}

/* `at`: what tree_find has returned, and where NULL is. */
static inline void tree_add(struct tree_node **at, struct tree_node *node)
{
    node->at = at;
    node->below[0] = node->below[1] = NULL;
    *at = node;
}

/* Puts another node, in no tree and with a key that may stand there, where `old` is. */
static inline void tree_replace(struct tree_node *old, struct tree_node *node)
{
    node->at = old->at;
    *node->at = node;
    for (int i = 0; i < 2; i++) {
        node->below[i] = old->below[i];
        if (node->below[i] != NULL)
            node->below[i]->at = &node->below[i];
    }
    old->at = NULL;
}

static inline void tree_remove(struct tree_node *node)
{
    struct tree_node *leaf = node;
    while (leaf->below[0] != NULL || leaf->below[1] != NULL)
        leaf = leaf->below[leaf->below[0] == NULL];
    *leaf->at = NULL;
    leaf->at = NULL;
    if (leaf != node)
        tree_replace(node, leaf);
}

#endif
