#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same command lines, given to xargs and to GNU parallel as well: byte for byte the same."""

import unittest

from support import Case, have, main

LINES = "a\nb c\n it's\n\"q\"\n$HOME `x` $(y)\n*\n\\\nlast"
PATHS = "\n".join(
    "a/b.c/d.e /x /x/y.tar.gz x. .bashrc a/.b dir/ no-dot d.d/f ./x.y ../z a_b.c_d //x//y.z".split()
).replace("_", " ")

# Options and command, as parallel and weir both take them; and what standard input is.
PARALLEL = [
    (("echo", ":::", "a", "b c", "d"), None),
    (("echo", ":::", "a", "b", ":::", "1", "2", ":::", "x", "y"), None),
    (("--link", "echo", ":::", "a", "b", "c", ":::", "1", "2"), None),
    (("--link", "echo", "{1}-{2}-{3}", ":::", "a", ":::", "1", "2", "3", ":::", "x", "y"), None),
    (("echo", "{2}{1}", ":::", "a", "b", ":::", "1", "2"), None),
    (("echo", "x{}y{}", ":::", "a", "b"), None),
    (("echo", "{}"), LINES),
    (("echo",), LINES),
    (("echo", "{#}", "{}"), LINES),
    (("-I", "@", "echo", "x@x"), LINES),
    (("-0", "printf", "%s."), "a\0b c\0d\0"),
    (("-d", ",", "printf", "%s."), "a,b,c"),
    (("-n2", "echo"), LINES),
    (("-n", "3", "echo"), "1\n2\n3\n4\n5\n6\n7\n8"),
    (("-a", "list", "echo"), None),
    (("echo", "::::", "list"), None),
    (("echo", "{1}{2}", "::::", "list", "list"), None),
    (("echo", "{1}{2}", ":::", "x", "y", "::::", "list"), None),
    (("-a", "-", "echo"), "a\nb\n"),
    (("echo {1} {2}", ":::", "a", ":::", "b c", "d"), None),
    (("echo {} | tr a-z A-Z", ":::", "a", "b c"), None),
    (("echo {} >&2; echo {}", ":::", "a", "b"), None),
    (("cat list; echo {}", ":::", "a"), None),
    (("--colsep", ",", "echo", "{2}-{1}-{3}"), "a,b\nc,d,e\n,\n\nx"),
    (("--colsep", ",", "echo"), "a,b c\n"),
    (("--header", ":", "--colsep", ",", "echo", "{x}+{y}"), "x,y\n1,2\n3,4\n"),
    (("--header", ":", "echo", "{l}{n}", ":::", "l", "a", "b", ":::", "n", "1", "2"), None),
    (("--tag", "seq"), "2\n3\n"),
    (("--tagstring", "{#}<{}>", "echo", "{}"), "a\nb c\n"),
    (("--dry-run", "echo", "{}", "x"), "a\nb\n"),
    (("--dry-run", "echo {} > {}.out"), "a\nb-c\n"),
    (("--pipe", "wc", "-l"), "a\nb\nc\n"),
    (("--pipe", "--block", "1k", "cat"), "".join(f"{n:09}\n" for n in range(1000))),
    (("echo {}; true",), "a\nb\n"),
]
PARTS = ("{}", "{.}", "{/}", "{//}", "{/.}")
EXIT = [
    ("exit {}", ":::", "0"),
    ("exit {}", ":::", "0", "1", "2", "0"),
    ("kill -9 $$; : {}", ":::", "1"),
    ("true", ":::"),
    ("false", ":::", *map(str, range(30))),
]
HALT = [
    ("soon,fail=1", ("0", "1", "0", "0")),
    ("now,fail=1", ("0", "1", "0", "0")),
    ("soon,fail=2", ("1", "0", "1", "0", "0")),
    ("soon,success=1", ("1", "0", "0", "0")),
    ("now,success=2", ("0", "1", "0", "0", "0")),
    ("soon,done=2", ("0", "1", "0", "0")),
    ("now,done=3", ("0", "1", "0", "0", "1")),
    ("never", ("0", "1", "0")),
]
# In xargs' words, and in weir's.
XARGS = [
    (("-d", "\n", "-n1", "echo"), ("echo",), LINES),
    (("-d", "\n", "-I{}", "echo", "a{}b", "{}"), ("echo", "a{}b", "{}"), LINES),
    (("-0", "-n1", "printf", "%s|"), ("-0", "printf", "%s|"), "a\nb\0c\0\0d"),
    (("-d", "\n", "-n2", "printf", "[%s]"), ("-n2", "printf", "[%s]"), LINES),
    (("-d", ",", "-n1", "printf", "[%s]"), ("-d", ",", "printf", "[%s]"), "a,b,,c\n"),
    (("-d", "\\t", "-n1", "printf", "[%s]"), ("-d", "\\t", "printf", "[%s]"), "a\tb"),
    (("-d", "\n", "-n1", "-a", "list", "echo"), ("-a", "list", "echo"), None),
    (("-d", "\n", "-r", "echo"), ("-X", "echo"), ""),
    (("-d", "\n", "echo"), ("-X", "echo"), LINES),
    (("-d", "\n", "-n1", "sh", "-c", "echo $1", "sh"), ("sh", "-c", "echo $1", "sh"), LINES),
]


class Peers(Case):
    def setUp(self):
        super().setUp()
        self.write("list", "1\n2 3\n'4'\n")


@unittest.skipUnless(have("parallel"), "GNU parallel is not installed")
class Parallel(Peers):
    def test_the_same_output_and_the_same_errors(self):
        for args, given in PARALLEL:
            with self.subTest(args=args):
                theirs = self.peer("parallel", "-k", "-j2", *args, input=given)
                ours = self.run_it("-k", "-j2", *args, input=given)
                self.assertEqual((ours.out, ours.err), (theirs.out, theirs.err))
                self.assertEqual(ours.status, theirs.status)

    def test_parts_of_paths(self):
        words = [word for part in PARTS for word in (part, f"x{part}x")]
        for made in (words, [word.replace("{", "{1") for word in words]):
            theirs = self.peer("parallel", "-k", "printf", "[%s]", *made, input=PATHS)
            ours = self.weir("-k", "printf", "[%s]", *made, input=PATHS)
            self.assertEqual(ours.out, theirs.out)

    def test_the_number_of_failures_is_the_exit_status(self):
        for args in EXIT:
            with self.subTest(args=args):
                theirs = self.peer("parallel", *args)
                self.assertEqual(self.run_it(*args).status, theirs.status)

    def test_where_a_halt_halts(self):
        for halt, codes in HALT:
            with self.subTest(halt=halt):
                args = ("-j1", "--halt", halt, "echo {#}; exit {}", ":::", *codes)
                self.assertEqual(self.run_it(*args).out, self.peer("parallel", *args).out)

    def test_parallels_dry_run_is_the_same_shell_line(self):
        """Where it quotes in another way, sh takes both for the same words."""
        lines = "a b\n$x\nit's\n*\n\\\n"
        args = ("-k", "--dry-run", "printf", "[%s]", "{}")
        theirs = self.peer("parallel", *args, input=lines).out
        ours = self.weir(*args, input=lines).out
        outputs = []
        for script in (theirs.replace(b"[%s]", b"'[%s]'"), ours):
            outputs.append(self.run_it(program=("sh",), input=script).out)
        self.assertEqual(outputs[0], outputs[1])


@unittest.skipUnless(have("xargs"), "xargs is not installed")
class Xargs(Peers):
    def test_the_same_output(self):
        for theirs, ours, given in XARGS:
            with self.subTest(xargs=theirs):
                wanted = self.peer("xargs", *theirs, input=given)
                self.assertEqual(wanted.status, 0, wanted)
                got = self.weir("-k", "-j2", *ours, input=given)
                self.assertEqual(got.out, wanted.out)

    def test_a_job_list_from_find(self):
        for name in ("a b", "it's", "-n", "new\nline", "$(x)"):
            self.write(name, name)
        listing = self.run_it(
            *("-c", "find . -type f -print0 | LC_ALL=C sort -z"), program=("sh",)
        ).out
        wanted = self.peer("xargs", "-0", "-n1", "cat", input=listing)
        got = self.weir("-k", "-0", "cat", input=listing)
        self.assertEqual(got.out, wanted.out)


if __name__ == "__main__":
    main()
