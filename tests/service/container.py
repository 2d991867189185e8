#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The image and the manifest, as far as they can be tried without a cluster.

Usage: container.py [--all]      --all: also builds as the image does
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from support import SERVICE, Case, main

try:
    import yaml
except ImportError:
    print("python3-yaml is not installed")
    sys.exit(77)

ALL = "--all" in sys.argv
if ALL:
    sys.argv.remove("--all")

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples/service/container"
CANCELLED_S = 7  # what run.c takes beyond the grace, at most, before it exits


def stages():
    """The instructions of the image: for each stage a list of (name, words)."""
    text = re.sub(r"^#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.M)
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        name, _, words = line.partition(" ")
        if name == "FROM":
            found.append([])
        if name:
            found[-1].append((name, words.strip()))
    return found


def packages(stage):
    commands = [part for name, words in stage if name == "RUN" for part in words.split("&&")]
    install = next(command for command in commands if "apt-get install" in command)
    return {word for word in install.split()[2:] if not word.startswith("-")}


def values(stage, name):
    return [words for instruction, words in stage if instruction == name]


class Image(unittest.TestCase):
    def test_it_has_the_libraries_that_the_program_needs(self):
        listed = subprocess.run(["readelf", "-d", SERVICE], capture_output=True, check=True).stdout
        needed = re.findall(r"NEEDED.*\[(lib(?:microhttpd|sqlite3)\.so\.\d+)\]", listed.decode())
        self.assertEqual(len(needed), 2, needed)
        linked = subprocess.run(["ldd", SERVICE], capture_output=True, check=True).stdout.decode()
        wanted = set()
        for library in needed:
            path = re.search(rf"{re.escape(library)} => (\S+)", linked)[1]
            owner = subprocess.run(["dpkg", "-S", os.path.realpath(path)], capture_output=True,
                                   check=False).stdout.decode()
            if not owner:
                self.skipTest(f"{path} is of no package")
            wanted.add(owner.split(":")[0])
        self.assertEqual(packages(stages()[1]), wanted)

    def test_its_build_has_what_examples_need(self):
        known = {line.split()[0] for line in (ROOT / "tools/packages").read_text().splitlines()
                 if line and not line.startswith("#")}
        self.assertEqual(packages(stages()[0]) - known, set())

    def test_it_runs_what_was_built(self):
        build, image = stages()
        source, target = values(image, "COPY")[0].split()[1:]
        compiled = next(words for words in values(build, "RUN") if "meson compile" in words)
        self.assertIn(f"-C {source.split('/examples')[0]} ", compiled)
        self.assertEqual(Path(source).name, Path(SERVICE).name)
        self.assertEqual(yaml.safe_load(values(image, "ENTRYPOINT")[0]), [Path(target).name])
        self.assertEqual(values(image, "STOPSIGNAL"), ["SIGTERM"])
        self.assertNotEqual(values(image, "USER")[0].split(":")[0], "0")

    def test_its_steps_build_it(self):
        if not ALL:
            self.skipTest("only with --all")
        folder = ROOT / "build/container-test"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for step in values(stages()[0], "RUN"):
            if "apt-get" not in step:
                words = [str(folder) if word == "/build" else str(ROOT) if word == "/weir" else word
                         for word in shlex.split(step)]
                subprocess.run(words, check=True, stdout=sys.stderr)
        source = values(stages()[1], "COPY")[0].split()[1]
        subprocess.run([f"{folder}{source.removeprefix('/build')}", "--help"], check=True,
                       stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)


class Manifest(Case):
    def setUp(self):
        super().setUp()
        text = (FOLDER / "kubernetes.yaml").read_text()
        self.set, self.public = yaml.safe_load_all(text)
        self.pod = self.set["spec"]["template"]["spec"]
        self.container = self.pod["containers"][0]
        self.env = dict(pair.split("=") for words in values(stages()[1], "ENV")
                        for pair in words.split())
        self.env |= {one["name"]: one["value"] for one in self.container["env"]}

    def setting(self, name):
        return int(self.env["WEIR_SERVICE_" + name])

    def test_the_settings_are_some(self):
        run = subprocess.run([SERVICE, "--check"], env=self.env, capture_output=True, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        said = subprocess.run([SERVICE, "--help"], capture_output=True, check=True).stdout.decode()
        names = {"WEIR_SERVICE_" + name.upper().replace("-", "_")
                 for name in re.findall(r"^  --([a-z-]+)", said, re.M)}
        self.assertEqual(set(self.env) - names, set(), "there are no such settings")

    def test_the_ports_are_those_it_listens_on(self):
        ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        self.assertEqual(str(ports["http"]), self.env["WEIR_SERVICE_LISTEN"].split(":")[1])
        self.assertEqual(str(ports["admin"]), self.env["WEIR_SERVICE_ADMIN"].split(":")[1])
        self.assertEqual(values(stages()[1], "EXPOSE"), [str(ports["http"])])
        self.assertEqual([port["targetPort"] for port in self.public["spec"]["ports"]], ["http"])
        annotations = self.set["spec"]["template"]["metadata"]["annotations"]
        self.assertEqual(annotations["prometheus.io/port"], str(ports["admin"]))

    def test_labels_and_mounts_meet(self):
        labels = self.set["spec"]["template"]["metadata"]["labels"]
        self.assertEqual(self.set["spec"]["selector"]["matchLabels"], labels)
        self.assertEqual(self.public["spec"]["selector"], labels)
        self.assertEqual(self.set["spec"]["serviceName"], self.public["metadata"]["name"])
        mounted = {mount["name"]: mount["mountPath"] for mount in self.container["volumeMounts"]}
        volumes = {volume["name"] for volume in self.pod["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in self.set["spec"]["volumeClaimTemplates"]}
        self.assertEqual(set(mounted), volumes)
        self.assertEqual(str(Path(self.env["WEIR_SERVICE_DATABASE"]).parent), mounted["data"])
        self.assertEqual(str(Path(self.env["WEIR_SERVICE_TOKENS"]).parent), mounted["tokens"])

    def test_there_is_time_for_the_end(self):
        hook = self.container["lifecycle"]["preStop"]["exec"]["command"]
        self.assertEqual(hook[0], "sleep")
        takes = int(hook[1]) + self.setting("LAME_DUCK_MS") / 1000 + self.setting("GRACE_MS") / 1000
        self.assertGreaterEqual(self.pod["terminationGracePeriodSeconds"], takes + CANCELLED_S)
        ready = self.container["readinessProbe"]
        notices = ready["periodSeconds"] * ready["failureThreshold"] + ready["timeoutSeconds"]
        self.assertLess(notices * 1000, self.setting("LAME_DUCK_MS"))

    def test_it_has_fewer_rights_than_it_could(self):
        user = self.pod["securityContext"]
        self.assertEqual(values(stages()[1], "USER"), [f"{user['runAsUser']}:{user['runAsGroup']}"])
        self.assertTrue(user["runAsNonRoot"])
        self.assertEqual(self.container["securityContext"]["capabilities"]["drop"], ["ALL"])
        for limits in self.container["resources"].values():
            self.assertEqual(set(limits), {"cpu", "memory"})

    def can_become(self, user):
        """Root can, if that user can reach the program, too."""
        try:
            subprocess.run([SERVICE, "--help"], user=user, stdout=subprocess.DEVNULL, check=True)
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def test_it_runs_as_in_the_pod(self):
        """By that user, with the modes of those volumes, and its probes answer; then TERM."""
        user = self.pod["securityContext"]
        mode = next(volume["secret"]["defaultMode"] for volume in self.pod["volumes"]
                    if "secret" in volume)
        tokens = self.write("tokens", "0123456789abcdef\n", mode)
        env = {**self.env, "WEIR_SERVICE_TOKENS": str(tokens), "WEIR_SERVICE_DATABASE": "test.db",
               "WEIR_SERVICE_LAME_DUCK_MS": "0"}
        del env["WEIR_SERVICE_LISTEN"], env["WEIR_SERVICE_ADMIN"]
        if not self.can_become(user["runAsUser"]):
            tokens.chmod(0o600)
            service = self.start(open=False, env=env)
        else:
            data = self.folder / "data"
            data.mkdir(mode=0o700)
            os.chown(data, user["runAsUser"], user["runAsGroup"])
            os.chown(tokens, 0, user["fsGroup"])
            self.folder.chmod(0o755)
            service = self.start(open=False, env=env, cwd=data, user=user["runAsUser"],
                                 group=user["runAsGroup"], extra_groups=[user["fsGroup"]])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            ask = self.container[probe]["httpGet"]
            self.assertEqual(ask["port"], "http")
            self.assertEqual(service.get(ask["path"]).status, 200, probe)
        self.assertEqual(service.post("/documents", "x").status, 401)
        good = {"Authorization": "Bearer 0123456789abcdef"}
        self.assertEqual(service.post("/documents", "x", **good).status, 201)

    def test_it_may_be_the_first_process(self):
        """As such it would not die of a signal that it does not wait for."""
        unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no namespaces")
        service = self.start(prefix=unshare)
        child = next(iter(Path(f"/proc/{service.pid}/task/{service.pid}/children")
                          .read_text().split()))
        os.kill(int(child), signal.SIGTERM)
        self.assertEqual(service.wait(), 0)


if __name__ == "__main__":
    main()
