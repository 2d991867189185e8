/* SPDX-License-Identifier: MIT */
/* heap.h - an intrusive priority queue: a pairing heap (M. L. Fredman, R. Sedgewick, D. D. Sleator
 * and R. E. Tarjan, "The pairing heap: a new form of self-adjusting heap", 1986).
 *
 * It needs no memory but its nodes'. Adding takes constant time, removing any node O(log n)
 * amortized. Nodes of equal keys come out in the order in which they were added.
 *
 * A root has no `prev` and no `next`. Of the children of a node the first one's `prev` is the
 * parent, any other's is the sibling before it. No child comes before its parent.
 */
#ifndef WEIR_BASE_HEAP_H
#define WEIR_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t key;
    uint64_t order; /* among equal keys */
    struct heap_node *child, *next, *prev;
};

struct heap {
    struct heap_node *first; /* the root, which comes out first; NULL: empty */
    uint64_t added;          /* nodes ever */
};

static inline bool heap_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key < b->key || (a->key == b->key && a->order < b->order);
}

/* Makes one of two roots (or NULL) the first child of the other. */
static inline struct heap_node *heap_join(struct heap_node *a, struct heap_node *b)
{
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    if (heap_before(b, a)) {
        struct heap_node *first = b;
        b = a;
        a = first;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != NULL)
        a->child->prev = b;
    a->child = b;
    return a;
}

static inline struct heap_node *heap_cut(struct heap_node *node)
{
    if (node != NULL) {
        node->prev = NULL;
        node->next = NULL;
    }
    return node;
}

/* Joins siblings to one root: pairs from left to right, then these from right to left. That order
 * makes the costs logarithmic. */
static inline struct heap_node *heap_join_siblings(struct heap_node *rest)
{
    struct heap_node *pairs = NULL, *root = NULL;
    while (rest != NULL) {
        struct heap_node *a = rest, *b = a->next;
        rest = b != NULL ? b->next : NULL;
        struct heap_node *pair = heap_join(heap_cut(a), heap_cut(b));
        pair->next = pairs; /* a list of roots, while it is made */
        pairs = pair;
    }
    while (pairs != NULL) {
        struct heap_node *pair = pairs;
        pairs = pair->next;
        root = heap_join(root, heap_cut(pair));
    }
    return root;
}

static inline void heap_add(struct heap *heap, struct heap_node *node, int64_t key)
{
    *node = (struct heap_node){.key = key, .order = heap->added++};
    heap->first = heap_join(heap->first, node);
}

static inline void heap_remove(struct heap *heap, struct heap_node *node)
{
    struct heap_node *below = heap_join_siblings(node->child);
    if (node == heap->first) {
        heap->first = below;
        return;
    }
    if (node->prev->child == node)
        node->prev->child = node->next;
    else
        node->prev->next = node->next;
    if (node->next != NULL)
        node->next->prev = node->prev;
    heap->first = heap_join(heap->first, below);
}

#endif
