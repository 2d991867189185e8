/* SPDX-License-Identifier: MIT */
/* walk.c - from names to files, one after the other, in order. */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One folder: its names in order, folders with a slash at the end. That slash is also what makes
 * the order of the names the order of the whole paths: "a.c" comes before "a/b". */
struct level {
    char *text;   /* the names, each with its NUL */
    char **names; /* into `text`, sorted */
    size_t n, next;
    size_t prefix; /* how much of the path names this folder, its slash included */
};

struct walk {
    struct names *names;
    const char *given; /* the name that the folders at hand are below; good until the next one */
    char *path;        /* what walk_next has returned last, or the folder that comes next */
    size_t path_size;
    struct level *levels; /* the folder at hand is the last */
    size_t n_levels, levels_size;
    bool folder_next; /* `path` is a folder that has not been listed yet */
};

int walk_new(struct walk **ret, struct names *names)
{
    struct walk *walk = calloc(1, sizeof(*walk));
    if (walk == NULL)
        return -ENOMEM;
    walk->names = names;
    *ret = walk;
    return 0;
}

static void level_free(struct level *level)
{
    free(level->text);
    free(level->names);
}

void walk_free(struct walk *walk)
{
    if (walk == NULL)
        return;
    for (size_t i = 0; i < walk->n_levels; i++)
        level_free(&walk->levels[i]);
    free(walk->levels);
    free(walk->path);
    free(walk);
}

/* Makes room for `need` more elements in an array that has `n` of `*size`; doubling keeps it
 * linear. Returns the array, perhaps elsewhere, or NULL. */
static void *grown(void *array, size_t element, size_t n, size_t need, size_t *size)
{
    if (*size - n >= need)
        return array;
    size_t more = 2 * (n + need);
    void *moved = more > SIZE_MAX / element ? NULL : realloc(array, more * element);
    if (moved != NULL)
        *size = more;
    return moved;
}

/* Makes the path end in `name`, from `prefix` on. */
static int set_path(struct walk *walk, size_t prefix, const char *name)
{
    size_t length = strlen(name);
    /* One more than it takes, for the slash of a folder. */
    char *path = grown(walk->path, 1, prefix, length + 2, &walk->path_size);
    if (path == NULL)
        return -ENOMEM;
    walk->path = path;
    memcpy(path + prefix, name, length + 1);
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* What a name in a folder is. One that cannot be asked about counts as a file: the worker that
 * opens it will report what is wrong with it. */
static unsigned char type_of(int folder, const struct dirent *entry)
{
    struct stat st;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type;
    if (fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISREG(st.st_mode))
        return DT_REG;
    return S_ISDIR(st.st_mode) ? DT_DIR : DT_UNKNOWN;
}

/* Appends the names in `dir` to the level. Returns 0; a negative errno, with those that it got. */
static int read_names(DIR *dir, struct level *level)
{
    size_t length = 0, size = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL)
            return -errno;
        unsigned char type = is_dot(entry->d_name) ? DT_UNKNOWN : type_of(dirfd(dir), entry);
        if (type != DT_REG && type != DT_DIR)
            continue;
        size_t name_length = strlen(entry->d_name);
        char *text = grown(level->text, 1, length, name_length + 2, &size);
        if (text == NULL)
            return -ENOMEM;
        level->text = text;
        memcpy(text + length, entry->d_name, name_length);
        length += name_length;
        if (type == DT_DIR)
            text[length++] = '/';
        text[length++] = '\0';
        level->n++;
    }
}

static int sort_names(struct level *level)
{
    if (level->n == 0)
        return 0;
    level->names = malloc(level->n * sizeof(*level->names));
    if (level->names == NULL)
        return -ENOMEM;
    char *name = level->text;
    for (size_t i = 0; i < level->n; i++, name += strlen(name) + 1)
        level->names[i] = name;
    qsort(level->names, level->n, sizeof(*level->names), compare);
    return 0;
}

/* Lists the folder that `path` names and goes into it. Returns 0; a negative errno if the folder
 * cannot be read or not to its end, -ENOMEM among them. */
static int enter(struct walk *walk)
{
    struct level *levels =
        grown(walk->levels, sizeof(*levels), walk->n_levels, 1, &walk->levels_size);
    if (levels == NULL)
        return -ENOMEM;
    walk->levels = levels;
    /* What was a folder when it was listed may be a symbolic link by now. */
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (walk->n_levels > 0 ? O_NOFOLLOW : 0);
    int fd = open(walk->path, flags);
    if (fd < 0)
        return -errno;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int err = -errno;
        close(fd);
        return err;
    }
    struct level level = {0};
    int err = read_names(dir, &level);
    closedir(dir);
    int sorted = sort_names(&level);
    if (err == -ENOMEM || sorted != 0) {
        level_free(&level);
        return -ENOMEM;
    }
    level.prefix = strlen(walk->path);
    if (walk->path[level.prefix - 1] != '/') {
        walk->path[level.prefix++] = '/';
        walk->path[level.prefix] = '\0';
    }
    walk->levels[walk->n_levels++] = level;
    return err;
}

/* Sets `path` to the next name below the folder at hand. Returns 1, 0 if there is none, -ENOMEM. */
static int next_below(struct walk *walk)
{
    while (walk->n_levels > 0) {
        struct level *level = &walk->levels[walk->n_levels - 1];
        if (level->next == level->n) {
            level_free(level);
            walk->n_levels--;
            continue;
        }
        const char *name = level->names[level->next++];
        int err = set_path(walk, level->prefix, name);
        if (err != 0)
            return err;
        size_t length = strlen(name);
        walk->folder_next = name[length - 1] == '/';
        /* The slash goes, so that O_NOFOLLOW sees a link for what it is. */
        if (walk->folder_next)
            walk->path[level->prefix + length - 1] = '\0';
        return 1;
    }
    return 0;
}

/* Sets `path` to the next of the names. Returns as walk_next; the errors of the list itself come as
 * an item. */
static int next_given(struct walk *walk, struct walk_item *ret_item)
{
    const char *name;
    int got = names_next(walk->names, &name);
    if (got == 0)
        return 0;
    if (got < 0) {
        int over = weir_context_err(walk->names->ctx);
        if (over != 0)
            return over;
        *ret_item = (struct walk_item){.path = "standard input", .given = true, .error = got};
        return 1;
    }
    int err = set_path(walk, 0, name);
    if (err != 0)
        return err;
    walk->given = name;
    struct stat st;
    walk->folder_next = stat(walk->path, &st) == 0 && S_ISDIR(st.st_mode);
    *ret_item = (struct walk_item){.path = walk->path, .given = true};
    return 1;
}

int walk_next(struct walk *walk, struct walk_item *ret_item)
{
    for (;;) {
        int err = weir_context_err(walk->names->ctx);
        if (err != 0)
            return err;
        if (walk->folder_next) {
            walk->folder_next = false;
            bool given = walk->n_levels == 0;
            err = enter(walk);
            if (err == -ENOMEM)
                return err;
            if (err != 0) {
                *ret_item = (struct walk_item){.path = walk->path, .given = given, .error = err};
                return 1;
            }
            continue;
        }
        struct walk_item item = {.given = false};
        int got = next_below(walk);
        if (got == 0)
            got = next_given(walk, &item);
        else
            item.path = walk->path;
        if (got != 1 || !walk->folder_next) {
            if (got == 1)
                *ret_item = item;
            return got;
        }
    }
}

void walk_rest(const struct walk *walk, walk_tell *tell, void *user)
{
    if (walk->folder_next && walk->n_levels == 0)
        tell(walk->path, NULL, user);
    bool below = walk->folder_next;
    for (size_t i = 0; i < walk->n_levels; i++)
        below = below || walk->levels[i].next < walk->levels[i].n;
    if (below && walk->n_levels > 0)
        tell(walk->given, walk->path, user);
    const struct names *names = walk->names;
    if (names_list_unread(names))
        tell(NULL, NULL, user);
    for (size_t i = names->next; i < names->n_args; i++)
        tell(strcmp(names->args[i], "-") == 0 ? NULL : names->args[i], NULL, user);
}
