#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where records come from, and how they are cut."""

import os
import subprocess

from support import WEIR, Case, main

SHOW = ("printf", "[%s]")  # each word of a job in brackets: what was one record is seen to be one


class Lists(Case):
    def test_the_values_of_a_list_are_the_records(self):
        self.prints("a\nb c\n\nd\n", "-k", "echo", ":::", "a", "b c", "", "d")

    def test_several_lists_are_combined_and_the_first_is_slowest(self):
        self.prints(
            "a1x\na1y\na2x\na2y\nb1x\nb1y\nb2x\nb2y\n",
            *("-k", "echo", "{1}{2}{3}", ":::", "a", "b", ":::", "1", "2", ":::", "x", "y"),
        )

    def test_columns_of_several_sources_are_joined_by_a_space(self):
        self.prints("a 1\na 2\n", "-k", "echo", "{}", ":::", "a", ":::", "1", "2")

    def test_linked_lists_go_side_by_side_and_the_shorter_start_again(self):
        self.prints(
            "a1\nb2\nc1\nd2\n", "-k", "--link", "echo", "{1}{2}", ":::", *"abcd", ":::", *"12"
        )

    def test_linked_lists_go_on_until_the_longest_is_through(self):
        self.prints("a1\na2\na3\n", "-k", "--link", "echo", "{1}{2}", ":::", "a", ":::", *"123")

    def test_an_empty_list_has_no_records(self):
        self.prints("", "echo", ":::")

    def test_a_combination_with_an_empty_list_has_no_records(self):
        self.prints("", "echo", ":::", "a", "b", ":::")

    def test_files_and_lists_are_combined(self):
        self.write("numbers", "1\n2\n")
        self.prints("a1\na2\nb1\nb2\n", "-k", "echo", "{1}{2}", ":::", *"ab", "::::", "numbers")

    def test_several_files_after_one_word_are_several_sources(self):
        self.write("letters", "a\nb\n")
        self.write("numbers", "1\n2\n")
        self.prints("a1\na2\nb1\nb2\n", "-k", "echo", "{1}{2}", "::::", "letters", "numbers")

    def test_a_list_leaves_standard_input_alone(self):
        self.prints("a\n", "echo", ":::", "a", input="from standard input\n")


class Lines(Case):
    def test_lines_of_standard_input(self):
        self.prints("a\nb c\n", "-k", "echo", input="a\nb c\n")

    def test_lines_of_a_file(self):
        self.write("list", "a\nb\n")
        self.prints("a\nb\n", "-k", "-a", "list", "echo", input="not read\n")

    def test_several_files_are_several_sources(self):
        self.write("one", "a\nb\n")
        self.write("two", "1\n2")
        self.prints("a1\na2\nb1\nb2\n", "-k", "-a", "one", "-a", "two", "echo", "{1}{2}")
        self.prints("a1\nb2\n", "-k", "--link", "-a", "one", "-a", "two", "echo", "{1}{2}")

    def test_a_file_and_standard_input(self):
        self.write("one", "a\n")
        self.prints("ab\n", "-k", "-a", "one", "-a", "-", "echo", "{1}{2}", input="b\n")

    def test_an_empty_line_is_a_record(self):
        self.prints("[][a][][]", "-k", *SHOW, input="\na\n\n\n")

    def test_the_last_line_needs_no_line_end(self):
        self.prints("[a][b]", "-k", *SHOW, input="a\nb")

    def test_no_input_runs_nothing(self):
        self.prints("", "touch", "started", input="")
        self.assertFalse((self.cwd / "started").exists())

    def test_blanks_and_quotes_are_part_of_a_line(self):
        line = "  a \t 'b' \"c\" \\ # $x  "
        self.prints(f"[{line}]", *SHOW, input=line + "\n")

    def test_a_carriage_return_is_part_of_a_line(self):
        self.prints("[a\r][b\r]", "-k", *SHOW, input="a\r\nb\r\n")

    def test_records_are_taken_as_they_come(self):
        run = self.start("-j2", "echo", stdin=subprocess.PIPE)
        run.process.stdin.write(b"first\n")
        run.read_until(b"first\n")
        run.process.stdin.write(b"sec")
        run.process.stdin.write(b"ond\n")
        run.read_until(b"second\n")
        run.process.stdin.close()
        self.assertEqual(run.end().status, 0)

    def test_standard_input_of_a_job_is_empty(self):
        self.prints(
            "/dev/null\n", ": {}; readlink -f /dev/stdin", ":::", "a", input="not for jobs\n"
        )
        self.prints("a\nb\n", "-k", "cat; echo {}", input="a\nb\n")


class Delimiters(Case):
    def test_nul(self):
        for option in ("-0", "--null"):
            self.prints("[a\nb][ c ][]", "-k", option, *SHOW, input="a\nb\0 c \0\0")

    def test_the_last_record_needs_no_nul(self):
        self.prints("[a][b]", "-k", "-0", *SHOW, input="a\0b")

    def test_a_character(self):
        for option in (("-d", ","), ("-d,",), ("--delimiter", ","), ("--delimiter=,",)):
            self.prints("[a][b ][c\n]", "-k", *option, *SHOW, input="a,b ,c\n")

    def test_a_character_that_is_written_by_an_escape(self):
        self.prints("[a][b]", "-k", "-d", r"\t", *SHOW, input="a\tb")
        self.prints("[a][b]", "-k", "-d", r"\0", *SHOW, input="a\0b")
        self.prints("[a][b]", "-k", "-d", r"\n", *SHOW, input="a\nb\n")

    def test_files_after_four_colons_are_cut_the_same_way(self):
        self.write("list", "a\nb\0c")
        self.prints("[a\nb][c]", "-k", "-0", *SHOW, "::::", "list")


class Columns(Case):
    def test_columns(self):
        self.prints("b-a\nd-c\n", "-k", "--colsep", ",", "echo", "{2}-{1}", input="a,b\nc,d\n")

    def test_a_separator_of_several_characters_is_taken_literally(self):
        self.prints("b|a.*\n", "--colsep=.|", "echo", "{2}|{1}", input="a.*.|b\n")

    def test_a_tab(self):
        self.prints("b\n", "--colsep", "\t", "echo", "{2}", input="a\tb\n")

    def test_an_empty_column_is_a_column(self):
        self.prints("[a][][c]", "--colsep", ",", *SHOW, "{1}", "{2}", "{3}", input="a,,c\n")

    def test_a_column_that_is_missing_is_empty(self):
        self.prints("[a][]", "--colsep", ",", *SHOW, "{1}", "{9}", input="a\n")

    def test_all_columns_together_are_joined_by_a_space(self):
        self.prints("[a b c]", "--colsep", ",", *SHOW, "{}", input="a,b,c\n")

    def test_a_header_names_the_columns(self):
        for option in (("--header",), ("--header", ":"), ("--header=:",)):
            self.prints(
                "Bo-3\nAl-4\n",
                *("-k", "--colsep", ",", *option, "echo", "{name}-{age}"),
                input="name,age\nBo,3\nAl,4\n",
            )

    def test_a_header_without_columns_names_the_record(self):
        self.prints("x=1\nx=2\n", "-k", "--header", ":", "echo", "x={x}", input="x\n1\n2\n")

    def test_a_header_names_each_source(self):
        self.prints(
            "a1\na2\n", "-k", "--header", ":", "echo", "{l}{n}", ":::", *"la", ":::", *"n12"
        )

    def test_only_a_header_runs_nothing(self):
        self.prints("", "--colsep", ",", "--header", "echo", "{a}", input="a,b\n")

    def test_numbers_work_beside_names(self):
        self.prints("2-1\n", "--colsep=,", "--header", "echo", "{2}-{a}", input="a,b\n1,2\n")


class Json(Case):
    def setUp(self):
        super().setUp()
        said = self.run_it("--json", "true", input='{"a":1}\n')
        if b"jansson" in said.err:
            self.skipTest("built without jansson")

    def test_members(self):
        self.prints(
            "x.png at 90\ny z.png at 80\n",
            *("-k", "--json", "echo", "{file} at {quality}"),
            input='{"file":"x.png","quality":90}\n{"quality": 80, "file": "y z.png"}\n',
        )

    def test_strings_are_decoded(self):
        self.prints(
            'a"b\\c\nd\té€\n'.encode(),
            *("--json", "printf", "%s\\n", "{s}"),
            input=r'{"s":"a\"b\\c\nd\té\u20ac"}' + "\n",
        )

    def test_values_that_are_no_strings_are_their_json(self):
        self.prints(
            '[1.5][true][null][[1,2]][{"x":1}]',
            *("--json", *SHOW, "{n}", "{t}", "{z}", "{l}", "{o}"),
            input='{"n":1.5,"t":true,"z":null,"l":[1,2],"o":{"x":1}}\n',
        )

    def test_the_record_itself(self):
        line = '{"a": "x y"}'
        self.prints(line + "\n", "--json", "echo", "{}", input=line + "\n")

    def test_a_missing_member_is_a_failed_job_and_the_others_run(self):
        result = self.weir(
            *("-k", "--json", "echo", "{a}"), input='{"a":1}\n{"b":2}\n{"a":3}\n', status=1
        )
        self.assertEqual(result.out, b"1\n3\n")
        self.assertRegex(result.err, rb"\bmember\b.*\ba\b")
        self.summary(result, ok=2, failed=1)

    def test_what_is_no_object_is_a_failed_job(self):
        for line in ("not json", "[1]", '"text"', '{"a":', "", '{"a":1} x'):
            result = self.weir(
                "-k", "--json", "echo", "{a}", input=f"{line}\n" + '{"a":3}\n', status=1
            )
            self.assertEqual(result.out, b"3\n", line)
            self.summary(result, ok=1, failed=1)

    def test_a_nul_in_a_member_is_a_failed_job(self):
        result = self.weir("--json", "echo", "{a}", input='{"a":"x\\u0000y"}\n', status=1)
        self.assertEqual(result.out, b"")
        self.summary(result, failed=1)

    def test_a_member_is_quoted_for_the_shell(self):
        self.prints(
            "$(touch pwned)\n", "--json", "echo {a} | cat", input='{"a":"$(touch pwned)"}\n'
        )
        self.assertFalse((self.cwd / "pwned").exists())


class ManyAJob(Case):
    def setUp(self):
        super().setUp()
        self.script("show", 'printf "[%s]" "$@"; echo\n')

    def test_so_many_records_a_job(self):
        self.prints("[a][b]\n[c][d]\n[e]\n", "-k", "-n2", "./show", ":::", *"abcde")

    def test_the_long_name(self):
        for option in (("-n", "3"), ("--max-args", "3"), ("--max-args=3",)):
            self.prints("[a][b][c]\n[d]\n", "-k", *option, "./show", input="a\nb\nc\nd\n")

    def test_records_by_their_number(self):
        self.prints("b+a\nd+c\n+e\n", "-k", "-n2", "echo", "{2}+{1}", ":::", *"abcde")

    def test_all_records_in_the_place_of_the_replacement(self):
        self.prints("[x][a][b c][y]\n", "-n2", "./show", "x", "{}", "y", ":::", "a", "b c")
        self.prints("[x][a][b c][y]\n", "-n2", "./show x {} y", ":::", "a", "b c")

    def test_as_many_as_fit(self):
        self.prints("[a][b][c]\n", "-j1", "-X", "./show", ":::", *"abc")

    def test_a_long_list_takes_few_command_lines_and_loses_nothing(self):
        lines = "".join(f"{'x' * 60}{number}\n" for number in range(50000))
        self.script("lines", 'echo >job.$WEIR_SEQ; printf "%s\\n" "$@"\n')
        self.prints(lines, "-k", "-X", "./lines", input=lines)
        jobs = len([name for name in os.listdir(self.cwd) if name.startswith("job.")])
        self.assertLess(jobs, 200)
        self.assertGreater(jobs, 1)  # 3 MB do not fit in one


class Pipe(Case):
    def test_blocks_are_cut_at_record_ends(self):
        lines = b"".join(b"line %d %s\n" % (n, b"x" * (n % 97)) for n in range(3000))
        self.script("keep", "cat >block.$WEIR_SEQ; cat block.$WEIR_SEQ\n")
        self.prints(lines, "-k", "--pipe", "--block", "10k", "./keep", input=lines)
        blocks = sorted(self.cwd.glob("block.*"), key=lambda path: int(path.suffix[1:]))
        self.assertGreater(len(blocks), len(lines) // 10240 - 1)
        for block in blocks:
            self.assertTrue(block.read_bytes().endswith(b"\n"))
        self.assertEqual(b"".join(block.read_bytes() for block in blocks), lines)
        for block in blocks[:-1]:
            self.assertLess(block.stat().st_size, 10240 + 120)

    def test_a_block_is_a_megabyte(self):
        lines = b"0123456789abcde\n" * (3 << 16)  # 3 MB
        self.prints(lines, "-k", "--pipe", "cat", input=lines)
        counted = self.weir("-k", "--pipe", "wc", "-c", input=lines)
        sizes = [int(word) for word in counted.out.split()]
        self.assertEqual(sum(sizes), len(lines))
        self.assertTrue(2 <= len(sizes) <= 4, sizes)

    def test_a_record_larger_than_a_block_stays_whole(self):
        lines = b"short\n" + b"x" * 300000 + b"\n" + b"end\n"
        self.script("keep", "cat >block.$WEIR_SEQ\n")
        self.prints("", "--pipe", "--block", "1k", "./keep", input=lines)
        blocks = sorted(self.cwd.glob("block.*"), key=lambda path: int(path.suffix[1:]))
        content = [block.read_bytes() for block in blocks]
        self.assertEqual(b"".join(content), lines)
        self.assertTrue(any(b"x" * 300000 + b"\n" in block for block in content))

    def test_records_that_end_in_nul(self):
        data = b"".join(b"a\nb%d\0" % n for n in range(1000))
        self.script("keep", "cat >block.$WEIR_SEQ\n")
        self.prints("", "--pipe", "-0", "--block", "500", "./keep", input=data)
        blocks = sorted(self.cwd.glob("block.*"), key=lambda path: int(path.suffix[1:]))
        self.assertEqual(b"".join(block.read_bytes() for block in blocks), data)
        for block in blocks:
            self.assertTrue(block.read_bytes().endswith(b"\0"))

    def test_the_last_record_needs_no_end(self):
        self.prints(b"a\nb", "-k", "--pipe", "cat", input=b"a\nb")

    def test_no_input_runs_nothing(self):
        self.prints("", "--pipe", "touch started", input="")
        self.assertFalse((self.cwd / "started").exists())

    def test_nothing_is_appended_to_the_command(self):
        self.prints("0\n", "--pipe", 'sh -c "cat >/dev/null; echo $#"', input="a\n")

    def test_a_job_that_does_not_read_its_block_is_no_error(self):
        self.prints("", "--pipe", "--block", "100k", "true", input=b"0123456\n" * 100000)

    def test_jobs_read_their_blocks_at_once(self):
        """Two blocks, each larger than a pipe: the first job waits for the second to have read."""
        lines = b"0123456\n" * 65536  # 512 KB
        self.script(
            "each",
            "cat >block.$WEIR_SEQ\n: >read.$WEIR_SEQ\n"
            "[ $WEIR_SEQ = 2 ] || until [ -e read.2 ]; do sleep 0.01; done\n",
        )
        self.weir("-j2", "--pipe", "--block", "256k", "./each", input=lines)


class Trouble(Case):
    def test_a_missing_file_is_named_before_anything_starts(self):
        self.refuses("-a", "missing", "touch", "started", words=["missing"])
        self.refuses("touch", "started", "::::", "missing", words=["missing"])
        self.refuses("touch", "started", ":::", "a", "::::", "missing", words=["missing"])
        self.write("list", "a\n")
        self.refuses("-a", "list", "-a", "missing", "touch", "started", words=["missing"])

    def test_a_folder_is_no_file(self):
        (self.cwd / "folder").mkdir()
        self.refuses("-a", "folder", "touch", "started", words=["folder"])
        self.refuses("touch", "started", "::::", "folder", words=["folder"])

    def test_a_folder_as_standard_input(self):
        folder = os.open(self.cwd, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        self.refuses("touch", "started", stdin=folder, words=["standard input"])

    def test_a_closed_standard_input(self):
        result = self.run_it(
            "-c", '"$WEIR" run touch started <&-', program=("sh",), env={"WEIR": WEIR}
        )
        self.assertEqual(result.status, 125, result)
        self.assertIn(b"standard input", result.err)
        self.assertEqual(len(result.err.splitlines()), 1, result)

    def test_a_closed_standard_input_does_not_matter_where_it_is_not_read(self):
        script = '"$WEIR" run echo ::: a <&-'
        result = self.run_it("-c", script, program=("sh",), env={"WEIR": WEIR})
        self.assertEqual((result.status, result.out, result.err), (0, b"a\n", b""))

    def test_a_record_of_ten_megabytes_is_a_failed_job(self):
        result = self.weir("-k", "echo", input=b"a\n" + b"x" * (10 << 20) + b"\nb\n", status=1)
        self.assertEqual(result.out, b"a\nb\n")
        self.assertIn(b"too long", result.err)
        self.assertLess(len(result.err), 10000)
        self.summary(result, ok=2, failed=1)

    def test_a_nul_in_a_line_is_a_failed_job(self):
        result = self.weir("-k", "echo", input=b"a\nx\0y\nb\n", status=1)
        self.assertEqual(result.out, b"a\nb\n")
        self.assertRegex(result.err, b"NUL|zero")
        self.summary(result, ok=2, failed=1)


if __name__ == "__main__":
    main()
