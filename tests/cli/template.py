#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How a record becomes a command."""

from support import Case, main

SHOW = ("printf", "[%s]")


class Replacements(Case):
    # record: {} {.} {/} {//} {/.}, as GNU parallel has them
    PARTS = {
        "file.txt": ("file.txt", "file", "file.txt", ".", "file"),
        "dir/file.txt": ("dir/file.txt", "dir/file", "file.txt", "dir", "file"),
        "/a/b.tar.gz": ("/a/b.tar.gz", "/a/b.tar", "b.tar.gz", "/a", "b.tar"),
        "/file": ("/file", "/file", "file", "/", "file"),
        "file": ("file", "file", "file", ".", "file"),
        "d.d/file": ("d.d/file", "d.d/file", "file", "d.d", "file"),
        "./x.c": ("./x.c", "./x", "x.c", ".", "x"),
        "a b.c d": ("a b.c d", "a b", "a b.c d", ".", "a b"),
        "x.": ("x.", "x", "x.", ".", "x"),
        "": ("", "", "", ".", ""),
    }

    def test_parts_of_a_path(self):
        for record, parts in self.PARTS.items():
            self.prints(
                "".join(f"[{part}]" for part in parts),
                *(*SHOW, "{}", "{.}", "{/}", "{//}", "{/.}", ":::", record),
            )

    def test_parts_of_a_column(self):
        for record, parts in self.PARTS.items():
            self.prints(
                "".join(f"[{part}]" for part in parts),
                *(*SHOW, "{2}", "{2.}", "{2/}", "{2//}", "{2/.}", ":::", "x", ":::", record),
            )

    def test_every_word_and_every_place_in_a_word(self):
        self.prints("[a-x-xb][x][]", "printf", "[%s]", "a-{}-{}b", "{}", "", ":::", "x")

    def test_the_program_itself(self):
        self.prints("a\nb\n", "-k", "{1}", "{2}", ":::", "echo", ":::", "a", "b")

    def test_the_record_is_appended_where_nothing_is_replaced(self):
        self.prints("[a][b c]", *SHOW, "a", ":::", "b c")
        self.prints("[a][b][c d]", *SHOW, "a", ":::", "b", ":::", "c d")
        self.prints("[a][b][c d]", "printf '[%s]' a", ":::", "b", ":::", "c d")

    def test_it_is_not_appended_where_something_is_replaced(self):
        self.prints("[1]", *SHOW, "{#}", ":::", "a")
        self.prints("[1]", "-j1", *SHOW, "{%}", ":::", "a")

    def test_sequence_numbers(self):
        self.prints("1a\n2b\n3c\n", "-k", "echo", "{#}{}", ":::", *"abc")

    def test_a_record_that_looks_like_a_replacement_is_left_alone(self):
        for record in ("{}", "{.}", "{#}", "{1}", "{%}", "{/}", "{2}", "{name}"):
            self.prints(f"[{record}][x{record}]", *SHOW, "{}", "x{}", ":::", record)

    def test_other_braces_stay(self):
        words = ("{", "}", "{ }", "{print $1}", "{a,b}", "a{b", "{-}", "${x}", "{}}"[1:], "{a")
        self.prints("".join(f"[{word}]" for word in words) + "[r]", *SHOW, *words, "{}", ":::", "r")

    def test_a_source_that_is_not_there_is_empty(self):
        self.prints("[a][]", *SHOW, "{1}", "{3}", ":::", "a")

    def test_another_name_for_the_record(self):
        for option in (("-I", "@"), ("-I@",)):
            self.prints("[x][ax]", *option, *SHOW, "@", "a@", ":::", "x")
        self.prints("[x][{}]", "-I", "@@", *SHOW, "@@", "{}", ":::", "x")

    def test_the_parts_of_a_member_by_its_name(self):
        self.prints("a b\n", "--colsep=,", "--header", "echo", "{x} {y}", input="x,y\na,b\n")


class WithAndWithoutShell(Case):
    def test_words_are_executed_as_they_are(self):
        self.prints("[$HOME][a;b][*][x y]", *SHOW, "$HOME", "a;b", "*", ":::", "x y")

    def test_one_plain_word_is_a_program(self):
        self.script("plain", "echo plain $#\n")
        self.prints("plain 1\n", "./plain", ":::", "x y")

    def test_one_word_with_white_space_or_a_special_character_is_for_sh(self):
        self.prints("a x\n", "echo a", ":::", "x")
        self.prints("A\n", "echo {}|tr a A", ":::", "a")
        self.prints("a\n", "echo\t{}", ":::", "a")
        self.prints("x\n", "a={};echo $a", ":::", "x")

    def test_a_file_is_made_by_the_shell(self):
        self.prints("", "echo {} >{}.out", ":::", "a b", "c")
        self.assertEqual(self.read("a b.out"), b"a b\n")
        self.assertEqual(self.read("c.out"), b"c\n")

    def test_shell_joins_the_words(self):
        self.prints("B\n", "--shell", "echo", "{}", "|", "tr", "b", "B", ":::", "b")
        self.prints("x y\n", "--shell", "echo", "{}", "", ":::", "x y")

    def test_shell_with_one_plain_word(self):
        self.prints("", "--shell", "true", ":::", "x")

    def test_no_shell_never_runs_one(self):
        self.script("a program", "echo found $1\n")
        self.prints("found x\n", "--no-shell", "./a program", ":::", "x")
        self.prints("found x\n", "--no-shell", "./a program", "{}", ":::", "x")

    def test_the_shell_is_bin_sh_whatever_the_user_has(self):
        self.prints("ok x\n", "echo ok {}", ":::", "x", env={"SHELL": "/bin/false"})


class Environment(Case):
    def test_a_job_sees_its_numbers(self):
        self.prints(
            "1 1 1\n2 1 1\n", "-j1", ": {}; echo $WEIR_SEQ $WEIR_SLOT $WEIR_ATTEMPT", ":::", *"ab"
        )

    def test_a_job_sees_its_attempt(self):
        self.script("each", "echo $WEIR_ATTEMPT >>attempts; [ $WEIR_ATTEMPT = 3 ]\n")
        self.weir("--retries", "5", "./each", ":::", "a")
        self.assertEqual(self.read("attempts"), b"1\n2\n3\n")

    def test_a_job_has_the_environment_and_the_folder_of_the_user(self):
        self.prints("here\n", "cat {}; echo $MINE", ":::", "/dev/null", env={"MINE": "here"})
        self.prints(f"{self.cwd}\n", ": {}; pwd", ":::", "x")

    def test_numbers_of_an_outer_weir_are_replaced(self):
        self.prints("1\n", ": {}; echo $WEIR_SEQ", ":::", "x", env={"WEIR_SEQ": "77"})


class CannotMakeACommand(Case):
    def test_a_word_that_is_too_long(self):
        """Linux takes 128 KB a word."""
        long = "x" * (200 << 10)
        result = self.weir("-k", "echo", input=f"a\n{long}\nb\n", status=1)
        self.assertEqual(result.out, b"a\nb\n")
        self.assertIn(b"too long", result.err)
        self.summary(result, ok=2, failed=1)

    def test_the_longest_word_that_fits_runs(self):
        long = "x" * 131000
        self.prints(long, "printf", "%s", input=long + "\n")

    def test_a_shell_line_that_is_too_long(self):
        long = "'" * (100 << 10)  # each quote takes several characters
        result = self.weir("echo {} | wc -c", input=f"{long}\n", status=1)
        self.assertIn(b"too long", result.err)


if __name__ == "__main__":
    main()
