#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A record is data, wherever it stands in a command line for the shell.

Each template goes through a list of hostile records: every byte by itself, what a shell would
execute or expand, and what would end a quotation. What the job got is compared byte by byte.
"""

import subprocess

from support import Case, main

BYTES = [bytes([byte]) for byte in range(1, 256)]
HOSTILE = BYTES + [
    b"",
    b" ",
    b"  a  b  ",
    b"-n",
    b"--",
    b"-e \\n",
    b"$(touch pwned)",
    b"`touch pwned`",
    b"; touch pwned;",
    b"& touch pwned &",
    b"| touch pwned",
    b"'; touch pwned; '",
    b"'$(touch pwned)'",
    b'"; touch pwned; "',
    b'"$(touch pwned)"',
    b"\\'; touch pwned; \\'",
    b'\\"; touch pwned; \\"',
    b"x\ntouch pwned\n#",
    b"x\ntouch pwned #",
    b"x\nEOF\ntouch pwned\n#",
    b")\ntouch pwned\n(",
    b"); touch pwned; (",
    b"`; touch pwned; `",
    b"}; touch pwned; {",
    b"}$(touch pwned)",
    b"$HOME ${HOME} ${IFS} $$ $? $!",
    b"$(",
    b"${",
    b"`",
    b"\\",
    b"\\\\",
    b"a\\",
    b"\\n",
    b"'",
    b"''",
    b'"',
    b"it's",
    b"'\"'\"'",
    b"*",
    b"?",
    b"[a-z]*",
    b"~",
    b"~root",
    b"{a,b}",
    b"!!",
    b"# not a comment",
    b"a=b",
    b"<file",
    b">pwned",
    b"%s %d",
    b"{}",
    b"{.}",
    b"{1} {2} {#} {%}",
    b"\xff\xfe\x80",
    b"\xc3",
    "\u20ac \U0001f600".encode(),
    bytes(range(1, 256)),
    bytes(reversed(range(1, 256))),
]

# A template for sh, and what stands around the record in what it prints before each NUL.
SAFE = [
    (r"""printf '%s\0' {}""", b"", b""),
    (r"""printf '%s\0' '{}'""", b"", b""),
    (r"""printf '%s\0' "{}" """, b"", b""),
    (r"""printf '%s\0' x{}y""", b"x", b"y"),
    (r"""printf '%s\0' 'a {} b'""", b"a ", b" b"),
    (r"""printf '%s\0' "a {} b" """, b"a ", b" b"),
    (r"""printf '%s\0' 'a'{}"b" """, b"a", b"b"),
    (r"""printf '%s\0' "it's {}" """, b"it's ", b""),
    (r"""printf '%s\0' 'say "{}"'""", b'say "', b'"'),
    (r"""printf '%s\0' "say \"{}\"" """, b'say "', b'"'),
    (r"""printf '%s\0' \'{}\'""", b"'", b"'"),
    (r"""printf '%s\0' \"{}\" """, b'"', b'"'),
    (r"""printf '%s\0' \\{}""", b"\\", b""),
    (r"""printf '%s\0' "\\{}" """, b"\\", b""),
    (r"""v={}; printf '%s\0' "$v" """, b"", b""),
    (r"""v="{}"; printf '%s\0' "$v" """, b"", b""),
    (r"""f() { printf '%s\0' "$1"; }; f {}""", b"", b""),
    (r"""(printf '%s\0' {})""", b"", b""),
    (r"""if true; then printf '%s\0' {}; fi""", b"", b""),
    (r"""for x in {}; do printf '%s\0' "$x"; done""", b"", b""),
    (r"""case {} in '{}') printf '%s\0' "{}";; *) echo differs;; esac""", b"", b""),
    (r"""true && printf '%s\0' {} | cat""", b"", b""),
    ("""true\nprintf '%s\\0' {}""", b"", b""),
    (r"""sh -c 'printf "%s\0" "$1"' sh {}""", b"", b""),
    (r"""printf '%s\0' "$(printf '%sx' 1)"{}""", b"1x", b""),
    (r"""v=a; printf '%s\0' $v{}""", b"a", b""),
    (r"""printf '%s\0' {}2>&1""", b"", b"2"),
    (r"""v=a; printf '%s\0' "$v{}b" """, b"a", b"b"),
    (r"""v=a; printf '%s\0' "$v"'$v{}'""", b"a$v", b""),
]

# Places where the text goes through the shell's parser again, or through none of its quotings. A
# template may be refused before anything runs, and what it prints is its own affair; but if it
# runs, nothing of a record may be executed.
DOUBTFUL = [
    'printf "%s\\0" "$(printf %s {})"',
    'printf "%s\\0" "$(printf %s "{}")"',
    "printf '%s\\0' \"$(printf %s '{}')\"",
    'printf "%s\\0" $(printf %s {})',
    'printf "%s\\0" "`printf %s {}`"',
    "printf '%s\\0' `printf %s {}`",
    "printf '%s\\0' `printf %s '{}'`",
    "printf '%s\\0' `printf %s \"{}\"`",
    'printf "%s\\0" "$(echo "$(printf %s {})")"',
    'printf "%s\\0" "${v:-{}}"',
    'printf "%s\\0" ${v:-"{}"}',
    "printf '%s\\0' ${v:-'{}'}",
    "printf '%s\\0' hi # {}",
    "printf '%s\\0' hi # '{}'\n",
    "# it's {}\nprintf '%s\\0' hi",
    "cat <<EOF\n{}\nEOF\n",
    "cat <<'EOF'\n{}\nEOF\n",
    "cat <<EOF\n'{}'\nEOF\n",
    'cat <<-EOF\n\t"{}"\nEOF\n',
    "printf '%s\\0' \\{}",
    'printf "%s\\0" "\\{}"',
    "printf '%s\\0' $'{}'",
    "printf '%s\\0' $'\\'{}'",
    'printf "%s\\0" "${{}}"',
    'printf "%s\\0" ${{}}',
    "printf '%s\\0' $((1+{}))",
    "printf '%s\\0' $((1+'{}'))",
    "printf '%s\\0' $(( \"{}\" ))",
    "case x in {}) echo;; esac",
    "case x in (y) echo;; '{}') echo;; esac # )",
    'printf "%s\\0" "$(case x in x) printf %s {};; esac)"',
    'printf "%s\\0" "$(printf %s {} # it\'s )\n)"',
    "{} x",
    "{}=x; true",
    "echo x >/dev/null 2>&1 <{}",
]


class Quoting(Case):
    def check(self, template, before, after):
        records = HOSTILE
        result = self.run_it("-k", "-0", "-j2", template, input=b"\0".join(records) + b"\0")
        self.assertEqual((result.status, result.err), (0, b""), (template, result))
        got = result.out.split(b"\0")
        self.assertEqual(got.pop(), b"", template)
        self.assertEqual(len(got), len(records), template)
        for record, text in zip(records, got):
            self.assertEqual(text, before + record + after, template)
        self.assertFalse((self.cwd / "pwned").exists(), template)

    def test_bare_in_single_and_in_double_quotes(self):
        for template, before, after in SAFE:
            with self.subTest(template=template):
                self.check(template, before, after)

    def test_words_without_a_shell(self):
        result = self.weir(
            *("-k", "-0", "printf", r"%s\0", "{}"), input=b"\0".join(HOSTILE) + b"\0"
        )
        self.assertEqual(result.out.split(b"\0")[:-1], HOSTILE)

    def test_the_shell_that_was_asked_for(self):
        result = self.weir(
            *("-k", "-0", "--shell", "printf", r"'%s\0'", "{}"), input=b"\0".join(HOSTILE) + b"\0"
        )
        self.assertEqual(result.out.split(b"\0")[:-1], HOSTILE)

    def test_a_record_that_is_appended(self):
        result = self.weir(
            *("-k", "-0", r"printf '%s\0'"), input=b"\0".join(HOSTILE) + b"\0"
        )
        self.assertEqual(result.out.split(b"\0")[:-1], HOSTILE)

    def test_several_records_of_one_job(self):
        result = self.weir(
            *("-k", "-0", "-n", "7", r"printf '%s\0' {}"), input=b"\0".join(HOSTILE) + b"\0"
        )
        self.assertEqual(result.out.split(b"\0")[:-1], HOSTILE)

    def test_parts_of_a_path_are_quoted_too(self):
        names = [record for record in HOSTILE if b"/" not in record and record not in (b"", b".")]
        records = [b"d'$(touch pwned)/" + name + b".x" for name in names]
        result = self.weir(
            *("-k", "-0", r"printf '%s\0' {/} '{//}' {.}"), input=b"\0".join(records) + b"\0"
        )
        wanted = []
        for record, name in zip(records, names):
            wanted += [name + b".x", b"d'$(touch pwned)", record[:-2]]
        self.assertEqual(result.out.split(b"\0")[:-1], wanted)
        self.assertFalse((self.cwd / "pwned").exists())

    def test_the_tag_is_not_for_the_shell(self):
        record = "$(touch pwned) 'x'"
        self.prints(f"{record}\tok\n", "--tag", ": {}; echo ok", ":::", record)
        self.prints(f"<{record}>\tok\n", "--tagstring", "<{}>", "echo ok; : {}", ":::", record)


class Doubtful(Case):
    def test_nothing_of_a_record_is_executed(self):
        for template in DOUBTFUL:
            with self.subTest(template=template):
                result = self.run_it(
                    "-0", "-j2", template, input=b"\0".join(HOSTILE) + b"\0"
                )
                self.assertFalse((self.cwd / "pwned").exists(), (template, result))
                if result.status == 125:
                    self.assertEqual(len(result.err.splitlines()), 1, (template, result))
                for path in self.cwd.iterdir():
                    path.unlink()

    def test_a_dollar_before_another_name_of_the_record(self):
        """With -I FILE, $FILE looks like a variable, and would be one of the record's choice."""
        for template in ("echo $FILE", 'echo "$FILE"', 'echo "$(echo $FILE)"'):
            self.refuses("-I", "FILE", template, ":::", "(touch pwned)", words=["FILE", "$"])
        self.assertFalse((self.cwd / "pwned").exists())
        for template in ("printf '%s\\0' \\$FILE", "printf '%s\\0' '$FILE'"):
            result = self.weir("-I", "FILE", template, ":::", "HOME")
            self.assertEqual(result.out, b"$HOME\0")
        self.assertEqual(self.weir("printf %s end$", ":::", "x").out, b"end$x")

    def test_a_substitution_within_double_quotes(self):
        """The common case: what stands in $(...) is a command line of its own."""
        names = ["a b.c", "$(touch pwned)", "it's", 'a"b', "x;y"]
        for inner in ("{}", '"{}"', "'{}'"):
            template = f'printf "%s\\n" "$(printf %s {inner})"'
            result = self.run_it("-k", template, ":::", *names)
            self.assertFalse((self.cwd / "pwned").exists())
            if result.status != 125:  # refused, with a sentence, is an answer, too
                self.assertEqual(result.out.decode().splitlines(), names, template)


class RoundTrip(Case):
    def test_a_shell_takes_the_printed_commands_back_to_the_same_words(self):
        """--dry-run prints what a shell would have to be given."""
        command = ("printf", r"%s\0", "{}", "x y", "'", "*", "$HOME", "~", "a\nb", "")
        printed = self.weir("-0", "-k", "--dry-run", *command, input=b"\0".join(HOSTILE) + b"\0")
        self.assertEqual(printed.err, b"")
        wanted = []
        for record in HOSTILE:
            wanted += [record, b"x y", b"'", b"*", b"$HOME", b"~", b"a\nb", b""]
        for shell in ("sh", "bash"):
            ran = subprocess.run(
                [shell], input=printed.out, stdout=subprocess.PIPE, cwd=self.cwd, check=True
            )
            self.assertEqual(ran.stdout.split(b"\0")[:-1], wanted)
        self.assertFalse((self.cwd / "pwned").exists())

    def test_the_same_for_a_line_of_shell(self):
        template = r"""printf '%s\0' {} '{}' "{}" """
        printed = self.weir("-0", "-k", "--dry-run", template, input=b"\0".join(HOSTILE) + b"\0")
        ran = subprocess.run(
            ["sh"], input=printed.out, stdout=subprocess.PIPE, cwd=self.cwd, check=True
        )
        self.assertEqual(ran.stdout.split(b"\0")[:-1], [r for r in HOSTILE for _ in range(3)])
        self.assertFalse((self.cwd / "pwned").exists())

    def test_the_file_command_of_the_results_is_the_command(self):
        records = [record for record in HOSTILE if record]
        self.weir(
            *("-0", "--results", "res", "printf", r"%s\0", "{}"),
            input=b"\0".join(records) + b"\0",
        )
        script = b"\n".join(
            self.read(f"res/{number}/command").rstrip(b"\n") for number in range(1, 21)
        )
        ran = subprocess.run(["sh"], input=script, stdout=subprocess.PIPE, cwd=self.cwd, check=True)
        self.assertEqual(ran.stdout.split(b"\0")[:-1], records[:20])


class Names(Case):
    def test_files_of_any_name(self):
        """A real job: to compress what has names that no script survives."""
        names = [r for r in HOSTILE if r and b"/" not in r and r not in (b".", b"..")]
        names = list(dict.fromkeys(name for name in names if len(name) < 200))
        folder = self.cwd / "in"
        folder.mkdir()
        for name in names:
            with open(bytes(folder) + b"/" + name, "wb") as file:
                file.write(b"content of " + name)
        listing = b"\0".join(b"in/" + name for name in names) + b"\0"
        self.weir("-0", 'gzip -c {} >"{}".gz && rm \'{}\'', input=listing)
        self.weir("-0", "gzip -dc {}.gz >{}", input=listing)
        for name in names:
            with open(bytes(folder) + b"/" + name, "rb") as file:
                self.assertEqual(file.read(), b"content of " + name)


if __name__ == "__main__":
    main()
