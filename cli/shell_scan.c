/* SPDX-License-Identifier: MIT */
/* shell_scan.c - the part of the shell's grammar that decides about quotes.
 *
 * It must never take a place for a safe one that is not: there a record could become code. So where
 * shells disagree, or where only a parser of the whole language knows (a here-document, `case`
 * within parentheses), it says that what follows is unclear, and replacements there are refused.
 */
#include "shell_scan.h"

#include <string.h>

void shell_scan_init(struct shell_scan *scan)
{
    memset(scan, 0, sizeof(*scan));
    scan->before = '\n';
}

static enum shell_level inside(const struct shell_scan *scan)
{
    return scan->levels[scan->depth];
}

static bool is_bare(enum shell_level level)
{
    return level == SHELL_BARE || level == SHELL_COMMAND || level == SHELL_GROUP;
}

static void enter(struct shell_scan *scan, enum shell_level level)
{
    if (scan->depth + 1 == SHELL_DEPTH) {
        scan->unclear = "more than 60 levels of quotes";
        return;
    }
    scan->levels[++scan->depth] = level;
    scan->before = '\n';
    scan->word_size = 0;
}

static void leave(struct shell_scan *scan)
{
    if (scan->depth > 0)
        scan->depth--;
    scan->before = 'x';
}

/* A word is over: `case` within parentheses has `)` that close nothing. */
static void end_word(struct shell_scan *scan)
{
    bool is_case = scan->word_size == 4 && memcmp(scan->word, "case", 4) == 0;
    if (is_case && scan->depth > 0)
        scan->unclear = "a case within parentheses";
    scan->word_size = 0;
}

static void add_to_word(struct shell_scan *scan, char byte)
{
    if (scan->word_size < sizeof(scan->word))
        scan->word[scan->word_size++] = byte;
    scan->before = 'x';
}

/* $ and what follows it; outside single quotes. */
static size_t dollar(struct shell_scan *scan, const char *text)
{
    if (text[1] == '(' && text[2] == '(') {
        enter(scan, SHELL_ARITHMETIC);
        return 3;
    }
    if (text[1] == '(' || text[1] == '{') {
        enter(scan, text[1] == '(' ? SHELL_COMMAND : SHELL_PARAMETER);
        return 2;
    }
    if (text[1] == '\'' && inside(scan) != SHELL_DOUBLE) {
        enter(scan, SHELL_ANSI);
        return 2;
    }
    if (text[1] == '[' || (text[1] == '\\' && text[2] == '\n'))
        scan->unclear = text[1] == '[' ? "or after $[...]" : "or after a $ at the end of a line";
    add_to_word(scan, '$');
    if (text[1] != '\0' && strchr("#$?!*@-", text[1]) != NULL)
        return 2; /* a parameter whose name would otherwise mean something here */
    scan->dollar = SHELL_DOLLAR;
    return 1;
}

static size_t operator(struct shell_scan *scan, const char *text)
{
    end_word(scan);
    scan->before = text[0];
    if (text[0] == '<' && text[1] == '<') {
        if (text[2] == '<')
            return 3;
        scan->unclear = "or after a here-document";
        return 2;
    }
    if (text[0] == '(' && text[1] == '(')
        scan->unclear = "or after ((...))";
    if (text[0] == '(')
        enter(scan, SHELL_GROUP);
    else if (text[0] == ')' && inside(scan) == SHELL_COMMAND)
        leave(scan);
    else if (text[0] == ')' && inside(scan) == SHELL_GROUP) {
        leave(scan);
        scan->before = ')';
    }
    return 1;
}

/* A backslash at the end of a line: the shell takes both away, and so may join what stands on
 * either side. Behind a blank there is nothing to join. */
static size_t continued(struct shell_scan *scan)
{
    if (strchr(" \t\n", scan->before) == NULL)
        scan->unclear = "or after a backslash that breaks a word at the end of a line";
    return 2;
}

static size_t step_bare(struct shell_scan *scan, const char *text)
{
    switch (text[0]) {
    case '\\':
        if (text[1] == '\n')
            return continued(scan);
        add_to_word(scan, '\\');
        return text[1] == '\0' ? 1 : 2;
    case '\'':
        add_to_word(scan, '\'');
        enter(scan, SHELL_SINGLE);
        return 1;
    case '"':
        add_to_word(scan, '"');
        enter(scan, SHELL_DOUBLE);
        return 1;
    case '`':
        enter(scan, SHELL_BACKQUOTES);
        return 1;
    case '$':
        return dollar(scan, text);
    case '#':
        if (strchr(" \t\n;|&()<>", scan->before) != NULL) {
            enter(scan, SHELL_COMMENT);
            return 1;
        }
        break;
    case ' ':
    case '\t':
    case '\n':
    case ';':
    case '|':
    case '&':
    case '(':
    case ')':
    case '<':
    case '>':
        return operator(scan, text);
    default:
        break;
    }
    add_to_word(scan, text[0]);
    return 1;
}

static size_t step_double(struct shell_scan *scan, const char *text)
{
    if (text[0] == '\\') {
        if (text[1] == '\n')
            scan->unclear = "or after a backslash at the end of a line within \"...\"";
        return text[1] == '\0' ? 1 : 2;
    }
    if (text[0] == '$')
        return dollar(scan, text);
    if (text[0] == '`')
        enter(scan, SHELL_BACKQUOTES);
    else if (text[0] == '"')
        leave(scan);
    return 1;
}

/* Levels in which no text is safe need only be left where every shell leaves them. */
static size_t step_other(struct shell_scan *scan, const char *text)
{
    switch (inside(scan)) {
    case SHELL_SINGLE:
        if (text[0] == '\'')
            leave(scan);
        return 1;
    case SHELL_COMMENT:
        if (text[0] == '\n') {
            leave(scan);
            scan->before = '\n';
        }
        return 1;
    case SHELL_ARITHMETIC:
        if (text[0] == ')' && text[1] == ')') {
            leave(scan);
            return 2;
        }
        if (strchr("'\"`$()\\", text[0]) != NULL)
            scan->unclear = "or after an arithmetic expression with quotes or parentheses";
        return 1;
    case SHELL_PARAMETER:
        if (text[0] == '}')
            leave(scan);
        else if (strchr("'\"`${\\", text[0]) != NULL)
            scan->unclear = "or after a ${...} with quotes in it";
        return 1;
    case SHELL_ANSI:
        if (text[0] == '\'')
            leave(scan);
        else if (text[0] == '\\')
            scan->unclear = "or after a $'...' with a backslash";
        return 1;
    case SHELL_BACKQUOTES:
        if (text[0] == '`')
            leave(scan);
        else if (strchr("'\"\\#", text[0]) != NULL)
            scan->unclear = "or after `...` with quotes in it (write $(...))";
        return 1;
    default:
        return 1;
    }
}

static bool is_of_name(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_';
}

size_t shell_scan_step(struct shell_scan *scan, const char *text)
{
    enum shell_level level = inside(scan);
    bool goes_on = scan->dollar != SHELL_NO_DOLLAR && is_of_name(text[0]);
    scan->dollar = goes_on ? SHELL_NAME : SHELL_NO_DOLLAR;
    if (is_bare(level))
        return step_bare(scan, text);
    if (level == SHELL_DOUBLE)
        return step_double(scan, text);
    return step_other(scan, text);
}

void shell_scan_replacement(struct shell_scan *scan)
{
    if (is_bare(inside(scan)))
        add_to_word(scan, 'x');
    scan->dollar = SHELL_NO_DOLLAR;
}

static const char *const names[] = {
    [SHELL_BARE] = "the command",
    [SHELL_DOUBLE] = "\"...\"",
    [SHELL_SINGLE] = "'...'",
    [SHELL_COMMAND] = "$(...)",
    [SHELL_GROUP] = "(...)",
    [SHELL_COMMENT] = "a comment",
    [SHELL_BACKQUOTES] = "`...` (write $(...))",
    [SHELL_PARAMETER] = "${...}",
    [SHELL_ARITHMETIC] = "$((...))",
    [SHELL_ANSI] = "$'...'",
};

bool shell_scan_is_safe(const struct shell_scan *scan, const char **ret_why)
{
    enum shell_level level = inside(scan);
    if (scan->unclear != NULL) {
        *ret_why = scan->unclear;
        return false;
    }
    if (scan->dollar == SHELL_DOLLAR) {
        *ret_why = "$..., which the shell expands";
        return false;
    }
    *ret_why = names[level];
    return is_bare(level) || level == SHELL_DOUBLE || level == SHELL_SINGLE;
}

bool shell_scan_is_complete(const struct shell_scan *scan, const char **ret_why)
{
    *ret_why = names[inside(scan)];
    return scan->unclear != NULL || scan->depth == 0 || inside(scan) == SHELL_COMMENT;
}
