/* SPDX-License-Identifier: MIT */
/* list.h - an intrusive doubly linked list, circular, with a head that is not an element. */
#ifndef WEIR_BASE_LIST_H
#define WEIR_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

struct list {
    struct list *prev, *next;
};

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *head)
{
    head->prev = head;
    head->next = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

/* Inserts the element before `next`, which may be the head. */
static inline void list_insert(struct list *next, struct list *element)
{
    element->prev = next->prev;
    element->next = next;
    next->prev->next = element;
    next->prev = element;
}

static inline void list_append(struct list *head, struct list *element)
{
    list_insert(head, element);
}

static inline void list_remove(struct list *element)
{
    weir_assert(element->prev != NULL && element->next != NULL);
    element->prev->next = element->next;
    element->next->prev = element->prev;
}

/* Appends all elements of `from`, which is empty then. */
static inline void list_move_all(struct list *head, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = head->prev;
    head->prev->next = from->next;
    from->prev->next = head;
    head->prev = from->prev;
    list_init(from);
}

#endif
