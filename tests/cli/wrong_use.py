#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a user gets wrong: exit 125, one sentence that names the word, and nothing was started."""

import unittest

from support import WEIR, Case, has_queue, main

JOB = ("touch", "started", ":::", "a")

# A misspelt option, and the one that was meant.
MISSPELT = {
    "--jbos": "--jobs",
    "--jos": "--jobs",
    "--joobs": "--jobs",
    "--jobz": "--jobs",
    "--ruselts": "--results",
    "--retrys": "--retries",
    "--retires": "--retries",
    "--job": "--jobs",
    "--keeporder": "--keep-order",
    "--keep_order": "--keep-order",
    "--linebuffer": "--line-buffer",
    "--line-buffered": "--line-buffer",
    "--timout": "--timeout",
    "--time-out": "--timeout",
    "--dryrun": "--dry-run",
    "--job-log": "--joblog",
    "--jobslog": "--joblog",
    "--resumefailed": "--resume-failed",
    "--retry-faild": "--retry-failed",
    "--tag-string": "--tagstring",
    "--result": "--results",
    "--back-off": "--backoff",
    "--halts": "--halt",
    "--killafter": "--kill-after",
    "--dead-line": "--deadline",
    "--mem-free": "--memfree",
    "--metric": "--metrics",
    "--col-sep": "--colsep",
    "--headers": "--header",
    "--blocks": "--block",
    "--noshell": "--no-shell",
    "--nobar": "--no-bar",
    "--verbos": "--verbose",
}

# An option, and values that it does not take.
WRONG_VALUES = {
    "-j": ["x", "", "1.5", "-", "+", "%", "10000000", "1001", "5%%", "2x"],
    "-n": ["0", "-1", "x", "", "1.5", "99999999999999999999"],
    "-d": ["", "ab", r"\q", r"\xZZ"],
    "-I": [""],
    "--colsep": [""],
    "--block": ["0", "x", "-1", "", "1Q", "99999999999999999999G"],
    "--retries": ["0", "x", "-1", "", "1.5"],
    "--backoff": ["x", "", "1s..", "..1s", "2s..1s", "-1s", "1s..x", "1s...2s"],
    "--retry-on": ["", "x", "256", "0", "-1", "1,", ",1", "1,,2", "signals"],
    "--halt": ["x", "", "now", "now,", "now,fail", "now,fail=", "now,fail=0", "now,fail=x",
               "later,fail=1", "now,failure=1", "soon,fail=101%", "soon,fail=-1", "soon,fail=0%",
               "now,fail=1,"],
    "--timeout": ["0", "x", "", "-1", "0%", "%", "5y", "1h2", "-5%"],
    "--kill-after": ["x", "", "-1", "5y"],
    "--deadline": ["0", "x", "", "-1"],
    "--grace": ["x", "", "-1"],
    "--delay": ["x", "", "-1"],
    "--rate": ["0", "x", "", "-1", "5/d", "5/", "/s", "1//s"],
    "--load": ["x", "", "-1"],
    "--memfree": ["x", "", "-1", "1Z"],
    "--breaker": ["x", "", "50", "50/", "50/10", "50/10,", "0/10,1s", "101/10,1s", "50/0,1s",
                  "50/10,x", "/10,1s", "50/10,0"],
    "--nice": ["x", "", "1000", "1.5"],
}  # fmt: skip


class Options(Case):
    def test_a_misspelt_option_is_told_the_right_one(self):
        for wrong, right in MISSPELT.items():
            with self.subTest(option=wrong):
                self.refuses(wrong, *JOB, words=[wrong, right])

    def test_a_misspelt_option_with_a_value(self):
        self.refuses("--retrys=3", *JOB, words=["--retrys", "--retries"])

    def test_an_option_like_no_other(self):
        for wrong in ("--xyzzy", "-Z", "-é"):
            self.refuses(wrong, *JOB, words=[wrong])

    def test_parallels_options_that_weir_has_not(self):
        """Each is named; none is taken for something else."""
        for option in ("--sshlogin", "--plus", "--tmux", "--citation", "--semaphore", "--wd"):
            self.refuses(option, "x", *JOB, words=[option])

    def test_an_option_without_its_value(self):
        for option in WRONG_VALUES:
            self.refuses(option, words=[option])

    def test_an_option_that_takes_no_value(self):
        for option in (
            "--keep-order", "--tag", "--dry-run", "--resume", "--bar", "--link", "--json"
        ):
            self.refuses(f"{option}=x", *JOB, words=[option])

    def test_wrong_values(self):
        for option, values in WRONG_VALUES.items():
            for value in values:
                with self.subTest(option=option, value=value):
                    self.refuses(option, value, *JOB, words=[option.lstrip("-"), value])

    def test_wrong_values_behind_an_equals_sign(self):
        for option, values in WRONG_VALUES.items():
            if option.startswith("--"):
                for value in values:
                    with self.subTest(option=option, value=value):
                        self.refuses(f"{option}={value}", *JOB, words=[option, value])

    def test_right_values_for_comparison(self):
        """Lest the tests above pass because everything is refused."""
        for option, value in {
            "-j": "2", "-n": "3", "-d": ",", "-I": "@", "--colsep": ",", "--retries": "2",
            "--backoff": "1ms..5ms", "--retry-on": "1,signal,timeout", "--halt": "now,fail=1%",
            "--timeout": "1h", "--kill-after": "0", "--deadline": "1d", "--grace": "5m",
            "--delay": "0.001", "--rate": "100000", "--load": "100000", "--memfree": "1k",
            "--breaker": "50/10,1s", "--nice": "1",
        }.items():  # fmt: skip
            with self.subTest(option=option):
                needed = ("--retries", "2") if option in ("--backoff", "--retry-on") else ()
                self.weir(option, value, *needed, "true", ":::", "a")

    def test_durations(self):
        for value in ("300ms", "1.5", "30s", "5m", "2h", "1d", "0.5s", "1.5h", "86400"):
            self.weir("--timeout", value, "true", ":::", "a")
            self.weir(f"--deadline={value}", "true", ":::", "a")

    def test_sizes(self):
        for value in ("64k", "1M", "2G", "100", "64K"):
            self.weir("--pipe", "--block", value, "true", input="a\n")

    def test_a_duration_beyond_all_bounds(self):
        for value in ("999999999999999999999d", "1e999", "nan", "inf", "0x10", "1 s", " 1"):
            self.refuses("--timeout", value, *JOB, words=[value])


class Combinations(Case):
    def test_options_that_exclude_each_other(self):
        self.write("log", "")
        for options, words in (
            (("--shell", "--no-shell"), ["shell"]),
            (("--line-buffer", "-u"), ["-u", "--ungroup"]),
            (("--group", "-u"), ["-u", "--ungroup"]),
            (("--group", "--line-buffer"), ["--line-buffer"]),
            (("-k", "-u"), ["-u", "--ungroup"]),
            (("--tag", "-u"), ["-u", "--ungroup"]),
            (("--tagstring", "x", "-u"), ["-u", "--ungroup"]),
            (("--results", "r", "-u"), ["-u", "--ungroup"]),
            (("--bar", "--no-bar"), ["--no-bar"]),
            (("-v", "-q"), ["-q", "--quiet"]),
            (("-n", "2", "-X"), ["-X", "--fill"]),
            (("--json", "--colsep", ","), ["--json"]),
            (("--json", "--header"), ["--json"]),
            (("--pipe", "-n", "2"), ["--pipe"]),
            (("--pipe", "-X"), ["--pipe"]),
            (("--pipe", "--colsep", ","), ["--pipe"]),
            (("--pipe", "--json"), ["--pipe"]),
            (("--block", "1M"), ["--block"]),
            (("--resume",), ["--resume", "--joblog"]),
            (("--resume-failed",), ["--resume-failed", "--joblog"]),
            (("--retry-failed",), ["--retry-failed", "--joblog"]),
            (("--backoff", "1s"), ["--backoff", "--retries"]),
            (("--retry-on", "1"), ["--retry-on", "--retries"]),
            (("--resume", "--resume-failed", "--joblog", "log"), ["--resume"]),
        ):
            with self.subTest(options=options):
                result = self.refuses(*options, *JOB)
                said = result.err.decode()
                if words[0] == "--resume" or words[-1] in ("--joblog", "--retries"):
                    for word in words:
                        self.assertIn(word, said)
                else:
                    self.assertTrue(any(word in said for word in words), said)

    def test_pipe_takes_nothing_but_standard_input(self):
        self.write("list", "a\n")
        self.refuses("--pipe", *JOB, words=["--pipe"])
        self.refuses("--pipe", "touch", "started", "::::", "list", words=["--pipe"])

    def test_retry_failed_takes_no_command(self):
        self.weir("--joblog", "log", "false", ":::", "a", status=1)
        self.refuses("--retry-failed", "--joblog", "log", *JOB, words=["--retry-failed"])

    def test_a_log_that_is_missing_has_nothing_to_retry(self):
        self.refuses("--retry-failed", "--joblog", "missing", words=["missing"])


class Commands(Case):
    def test_no_command(self):
        self.refuses(words=["command"])
        self.refuses(":::", "a", words=["command"])
        self.refuses("-j2", "--", ":::", "a", words=["command"])
        self.refuses("-k", "::::", "list", words=["command"])

    def test_an_empty_command(self):
        self.refuses("", ":::", "a", words=["empty"])

    def test_four_colons_without_a_file(self):
        self.refuses("touch", "started", "::::", words=["::::"])

    def test_link_with_one_source(self):
        """It makes no difference, so it is no error."""
        self.prints("a\n", "--link", "echo", ":::", "a")

    def test_an_unterminated_quote(self):
        for template in (
            "touch started 'a", 'touch started "a', "touch started '{}", 'touch started "{}'
        ):
            result = self.refuses(template, ":::", "a")
            self.assertRegex(result.err.decode(), "quot")

    def test_a_file_of_slots_that_is_wrong(self):
        self.write("slots", "many\n")
        self.refuses("-j", "slots", *JOB, words=["slots"])
        self.write("empty", "")
        self.refuses("-j", "empty", *JOB, words=["empty"])
        (self.cwd / "folder").mkdir()
        self.refuses("-j", "folder", *JOB, words=["folder"])

    def test_a_missing_header(self):
        """Names without names: no record is there, nothing runs."""
        self.prints("", "--header", "--colsep", ",", "touch", "{x}", input="")

    def test_nothing_half_done(self):
        """A wrong option after right ones: no log, no folder, no file was made."""
        self.refuses(
            *("--joblog", "log", "--log", "nd", "--results", "res", "--progress", "p"),
            *("--metrics", "m", "--trace", "t", "--halt", "wrong"),
            *JOB,
            words=["wrong"],
        )
        self.assertEqual(list(self.cwd.iterdir()), [])

    def test_nothing_half_done_where_input_is_missing(self):
        self.write("log", "keep this\n")
        self.refuses("--joblog", "log", "-a", "missing", "touch", "started", words=["missing"])
        self.assertEqual(self.read("log"), b"keep this\n")


class Subcommands(Case):
    def ask(self, *args, words):
        result = self.run_it(*args, program=(WEIR,))
        self.assertEqual(result.status, 125, result)
        self.assertEqual(result.out, b"")
        lines = result.err.decode().splitlines()
        self.assertEqual(len(lines), 1, result)
        for word in words:
            self.assertIn(word, lines[0])

    def test_none(self):
        self.ask(words=["weir help"])

    @unittest.skipIf(has_queue(), "this build has a queue")
    def test_those_that_need_a_queue(self):
        for subcommand in ("push", "work", "jobs"):
            for words in ((), ("redis://host/q", "true"), ("--help",)):
                self.ask(subcommand, *words, words=[f"weir {subcommand}", "hiredis"])

    def test_a_misspelt_one(self):
        self.ask("rnu", "echo", ":::", "a", words=["rnu", "run"])
        self.ask("hlep", words=["hlep", "help"])
        self.ask("versoin", words=["versoin", "version"])

    def test_one_like_no_other(self):
        self.ask("xyzzy", words=["xyzzy"])

    def test_help_on_what_is_not_there(self):
        self.ask("help", "rnu", words=["rnu"])

    def test_version_takes_nothing(self):
        self.ask("version", "x", words=["x"])


if __name__ == "__main__":
    main()
