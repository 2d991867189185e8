#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that each atomic operation of src/ which orders something names its partner.

An operation of base/atomic.h that acquires, releases or is sequentially consistent has a comment in
its statement, or on the lines directly before it; operations in one statement share it. It says

    pairs with FUNCTION[ in FILE][, FUNCTION ...]; the rest begins with any sign but a comma
for functions or macros with the other side, whose comments name this one in turn. Or it says "as in
FUNCTION", for the same look again, or "orders nothing: REASON". No comment has a label such as R1,
which does not say where its other end is: only invariants (I1), os/park.h's promises (P1) and the
workloads of bench/run (W1) have.

Usage: pairs.py ROOT    (first it checks that it finds each kind of mistake)
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

PENDING = ()  # below src/: not checked, nor what pairs with a function there

COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', re.DOTALL)
BODY = re.compile(r"^(\w[^;{}#]*\))\s*^\{.*?^\}", re.MULTILINE | re.DOTALL)
MACRO = re.compile(r"^#define\s+(\w+)(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
OPERATION = re.compile(r"\b\w+_(?:acq|rel|acqrel|seqcst)\(")
PAIRS = re.compile(r"[Pp]airs with ((?:[\w.]+(?: in [\w./]+)?,\s)*\w+(?: in [\w/]+\.[ch])?)")
OTHERWISE = re.compile(r"[Oo]rders nothing: \w|[Aa]s in \w+")
LABEL = re.compile(r"\b(?!I\d|W\d|P[123]\b)[A-Z]\d{1,2}\b")


def opened(code):
    """How many parentheses are open at the end of it."""
    return code.count("(") - code.count(")")


def definitions(code):
    """(name, begin, end) of each function and macro."""
    for match in BODY.finditer(code):
        head = match[1]  # the name is before the parenthesis that the last one closes
        at = next(i for i in range(len(head) - 1, -1, -1) if opened(head[i:]) == 0)
        yield re.search(r"(\w*)\s*$", head[:at])[1], match.start(), match.end()
    for match in MACRO.finditer(code):
        yield match[1], match.start(), match.end()


def statement(code, at):
    """Where the statement around `at` begins, and where it, or the condition around `at`, ends."""
    begin = end = at
    while begin > 0 and (code[begin - 1] not in ";{}" or opened(code[begin:at]) < 0):
        begin -= 1
    begin += re.match(r"\s*", code[begin:at]).end()
    inside = opened(code[begin:at]) > 0
    while end < len(code) and (code[end] not in ";{}" or opened(code[begin:end]) > 0):
        end += 1
        if inside and opened(code[begin:end]) == 0:
            break
    return begin, end


def comment_at(text, code, at):
    """All comments of the statement, of its last line, and of the lines directly before it."""
    begin, end = statement(code, at)
    begin, end = text.rfind("\n", 0, begin) + 1, text.find("\n", end)
    while begin > 0:
        line = text.rfind("\n", 0, begin - 1) + 1
        if code[line:begin].strip() or not text[line:begin].strip():
            break
        begin = line
    found = " ".join(m[0] for m in COMMENT.finditer(text, begin) if m.start() < end)
    return re.sub(r"\s+\*?\s*", " ", found)


def read(files):
    """{(file, function): [(line, comment)]} of all operations, and the labels."""
    functions, problems = defaultdict(list), []
    for name, text in files.items():
        code = COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
        for match in () if name.startswith(PENDING) else COMMENT.finditer(text):
            label = LABEL.search(match[0])
            if label and match[0][0] == "/":
                line = text.count("\n", 0, match.start() + label.start()) + 1
                problems.append((name, line, f"the label {label[0]}: name the function instead"))
        for function, begin, end in definitions(code) if name != "base/atomic.h" else ():
            for op in OPERATION.finditer(code, begin, end):
                line = code.count("\n", 0, op.start()) + 1
                functions[name, function].append((line, comment_at(text, code, op.start())))
    return functions, problems


def partners(functions, name, comment):
    """Each partner that a comment in the file names: as written, and the functions it may be."""
    for entry in ", ".join(PAIRS.findall(comment)).split(", "):
        function, _, file = entry.partition(" in ")
        found = [f for f in functions if f[1] == function and f[0].endswith(file)]
        if entry and not file.startswith(PENDING):
            yield entry, [f for f in found if f[0] == name and not file] or found


def check(files):
    functions, problems = read(files)
    named = {
        f: {p for _, comment in ops for _, found in partners(functions, f[0], comment)
            for p in found}
        for f, ops in functions.items()
    }
    for function, operations in functions.items():
        for line, comment in () if function[0].startswith(PENDING) else operations:
            said = PAIRS.search(comment) or OTHERWISE.search(comment)
            problem = None if said else "no comment says what the operation pairs with"
            for entry, found in partners(functions, function[0], comment):
                if not found:
                    problem = f"pairs with {entry}, which has no such operation"
                elif not any(f[0].startswith(PENDING) or function in named[f] for f in found):
                    problem = f"pairs with {entry}, which does not pair with {function[1]}"
            if problem:
                problems.append((function[0], line, problem))
    return sorted(problems)


SAMPLE = """static void give(struct x *x, void (*f)(void))\n{
    store_rel(&x->word, 1); /* pairs with take */\n}\n
static int take(struct x *x)\n{
    /* pairs\n     * with give; orders the rest */\n    return load_acq(&x->word);\n}\n"""


def test_myself():
    for old, new, expected in [
        ("", "", []),
        (" /* pairs with take */", "", ["no comment", "does not pair with take"]),
        ("with take", "with taker", ["no such operation", "does not pair with take"]),
        ("with give", "with take", ["does not pair with give"]),
        ("pairs with take", "as in give, R1", ["label R1", "does not pair with take"]),
    ]:
        found = [problem for _, _, problem in check({"ring/sample.c": SAMPLE.replace(old, new)})]
        if len(found) != len(expected) or not all(e in f for e, f in zip(expected, found)):
            sys.exit(f"pairs.py is broken: {new!r} for {old!r} gives {found}")


def main():
    test_myself()
    src = Path(sys.argv[1]) / "src"
    files = {p.relative_to(src).as_posix(): p.read_text() for p in sorted(src.rglob("*.[ch]"))}
    problems = check(files)
    for name, line, problem in problems:
        print(f"src/{name}:{line}: {problem}")
    sys.exit(1 if problems or not files else 0)


main()
