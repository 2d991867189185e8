# SPDX-License-Identifier: MIT
"""How the programs of the comparison are built, and which peer is which form of which program."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
BUILD = ROOT / "build" / "bench"
PROGRAMS = BUILD / "peers"

C_FLAGS = ["-O3", "-DNDEBUG", "-D_GNU_SOURCE", "-std=c11"]
CXX_FLAGS = ["-O3", "-DNDEBUG", "-D_GNU_SOURCE", "-std=c++17"]
COMMON = ["peers/measure.c", "common.c", "usage.c"]
POOL = ["peers/workloads.c", *COMMON]
RING = ["peers/ring_workloads.c", "peers/no_wakes.c", *COMMON]
COUNT_WAKES = [
    "-Wl,--wrap=syscall",
    "-Wl,--wrap=pthread_cond_signal",
    "-Wl,--wrap=pthread_cond_broadcast",
    "-Wl,--wrap=pthread_mutex_unlock",
]
MUTEX_POOL = ["peers/mutex.c", "baseline/mutex_pool.c"]
WAKES = ["wakes.c", "peers/with_wakes.c"]
NO_WAKES = ["peers/no_wakes.c"]


@dataclass(frozen=True)
class Program:
    """One in C or C++: its files below bench, and what else the compiler is told."""

    sources: tuple
    flags: tuple = ()
    libs: tuple = ()
    packages: tuple = ()  # of pkg-config
    headers: tuple = ()  # likewise, but what to link with is in libs
    weir: bool = False  # is linked with the library


def native(*sources, weir=False, **lists):
    return Program(sources, weir=weir, **{key: tuple(value) for key, value in lists.items()})


PTHREAD_LOCKS = ["-I", str(BENCH / "baseline/pthread")]
NSYNC_LOCKS = ["-I", str(BENCH / "baseline/nsync")]

NATIVE = {
    "weir": native("peers/weir.c", *NO_WAKES, *POOL, weir=True),
    "weir-wakes": native("peers/weir.c", *WAKES, *POOL, libs=COUNT_WAKES, weir=True),
    "mutex": native(*MUTEX_POOL, *NO_WAKES, *POOL, flags=PTHREAD_LOCKS),
    "mutex-wakes": native(*MUTEX_POOL, *WAKES, *POOL, flags=PTHREAD_LOCKS, libs=COUNT_WAKES),
    "nsync": native(*MUTEX_POOL, *NO_WAKES, *POOL, flags=NSYNC_LOCKS, libs=["-lnsync"]),
    "tbb": native("peers/tbb.cpp", *NO_WAKES, *POOL, packages=["tbb"]),
    "uv": native("peers/uv.c", *NO_WAKES, *POOL, packages=["libuv"]),
    "glib": native("peers/glib.c", *NO_WAKES, *POOL, packages=["glib-2.0"]),
    "asio": native("peers/asio.cpp", *NO_WAKES, *POOL),
    "openmp": native("peers/openmp.c", *NO_WAKES, *COMMON, flags=["-fopenmp"]),
    "ring-own": native("peers/ring_own.c", "baseline/vyukov.c", *RING, weir=True),
    "ring-ck": native("peers/ring_ck.c", *RING, flags=["-std=gnu11"]),
    "ring-dpdk": native(
        "peers/ring_dpdk.c", *RING, flags=["-std=gnu11"], libs=["-lrte_ring", "-lrte_eal"],
        headers=["libdpdk"],
    ),
    "ring-boost": native("peers/ring_boost.cpp", *RING, libs=["-latomic"]),
    "ring-moodycamel": native("peers/ring_moodycamel.cpp", *RING),
}


class BuildError(Exception):
    pass


def call(command, log, **rest):
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as file:
        file.write((" ".join(map(str, command)) + "\n").encode())
        file.flush()
        try:
            ended = subprocess.run(command, stdout=file, stderr=file, check=False, **rest)
        except OSError as error:
            raise BuildError(f"{command[0]}: {error.strerror}") from error
    if ended.returncode != 0:
        raise BuildError(f"see {log.relative_to(ROOT)}")


def build_weir():
    """The library, in a folder of its own, as a release."""
    folder = BUILD / "weir"
    log = BUILD / "weir.log"
    log.unlink(missing_ok=True)
    options = ["--buildtype=release", "-Ddefault_library=static", "-Ddebug_checks=false"]
    options += [f"-D{part}=disabled" for part in ("tests", "examples", "bench")]
    set_up = ["meson", "setup", *options, str(folder), str(ROOT)]
    if (folder / "build.ninja").is_file():
        try:
            call([*set_up, "--reconfigure"], log)
        except BuildError:  # another version of Meson has left it, say
            call([*set_up, "--wipe"], log)
    else:
        call(set_up, log)
    call(["meson", "compile", "-C", str(folder)], log)
    return folder / "libweir.a"


def pkg_config(arguments):
    found = subprocess.run(["pkg-config", *arguments], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise BuildError("not installed: pkg-config does not know " + arguments[-1])
    return found.stdout.split()


def compile_one(source, program, folder, log):
    cxx = source.endswith(".cpp")
    target = folder / (source.replace("/", "-") + ".o")
    flags = CXX_FLAGS if cxx else C_FLAGS
    compiler = ["g++" if cxx else "gcc", *flags, "-Wall", "-Wextra", "-I", str(ROOT / "include")]
    more = [*program.flags]
    if source == program.sources[0] and program.packages + program.headers:
        more += pkg_config(["--cflags", *program.packages, *program.headers])
    call([*compiler, *more, "-c", str(BENCH / source), "-o", str(target)], log)
    return target


def build_native(name, library):
    program = NATIVE[name]
    log = PROGRAMS / f"{name}.log"
    log.unlink(missing_ok=True)
    folder = PROGRAMS / f"{name}.o"
    folder.mkdir(parents=True, exist_ok=True)
    objects = [compile_one(source, program, folder, log) for source in program.sources]
    linker = "g++" if any(source.endswith(".cpp") for source in program.sources) else "gcc"
    libs = [*program.libs]
    if program.packages:
        libs += pkg_config(["--libs", *program.packages])
    if program.weir:
        libs.insert(0, str(library))
    flags = [flag for flag in program.flags if flag == "-fopenmp"]
    target = str(PROGRAMS / name)
    call([linker, *flags, *map(str, objects), *libs, "-lpthread", "-lm", "-o", target], log)
    return [target]


def build_go():
    """With what Debian has of golang.org/x, in the way that needs no network."""
    log = PROGRAMS / "go.log"
    log.unlink(missing_ok=True)
    if not Path("/usr/share/gocode/src/golang.org/x/sync/errgroup").is_dir():
        raise BuildError("not installed: golang-golang-x-sync-dev")
    env = {
        **os.environ,
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "GOPATH": "/usr/share/gocode",
        "GOCACHE": str(BUILD / "go-cache"),
    }
    call(["go", "build", "-o", str(PROGRAMS / "go"), "."], log, cwd=BENCH / "peers/go", env=env)
    return [str(PROGRAMS / "go")]


def build_rayon():
    """With Debian's compiler and Debian's crates. Cargo writes beside its sources: so, a copy."""
    log = PROGRAMS / "rayon.log"
    log.unlink(missing_ok=True)
    crates = Path("/usr/share/cargo/registry")
    if not any(crates.glob("rayon-1.*")):
        raise BuildError("not installed: librust-rayon-dev")
    folder = BUILD / "rayon"
    shutil.rmtree(folder / "source", ignore_errors=True)
    shutil.copytree(BENCH / "peers/rayon", folder / "source")
    config = folder / "config.toml"
    config.write_text(
        '[source.crates-io]\nreplace-with = "debian"\n'
        f'[source.debian]\ndirectory = "{crates}"\n'
    )
    env = {**os.environ, "CARGO_HOME": str(folder / "home"), "RUSTFLAGS": ""}
    cargo = "cargo"
    if Path("/usr/bin/cargo").is_file() and Path("/usr/bin/rustc").is_file():
        cargo = "/usr/bin/cargo"
        env["RUSTC"] = "/usr/bin/rustc"
    target = folder / "target"
    options = ["--release", "--offline", "--config", str(config), "--target-dir", str(target)]
    call([cargo, "build", *options], log, cwd=folder / "source", env=env)
    return [str(target / "release/rayon-peer")]


def build_java():
    log = PROGRAMS / "java.log"
    log.unlink(missing_ok=True)
    classes = PROGRAMS / "java"
    sources = sorted(map(str, (BENCH / "peers/java").glob("*.java")))
    call(["javac", "-d", str(classes), *sources], log)
    return ["java", "-cp", str(classes), "Peer"]


def build_program(name, library):
    """Returns the command that runs it."""
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    others = {"go": build_go, "rayon": build_rayon, "java": build_java}
    return others[name]() if name in others else build_native(name, library)


@dataclass(frozen=True)
class Peer:
    program: str
    forms: tuple = ()  # the arguments before the workload
    label: str = ""


PEERS = {
    "weir": Peer("weir", ("weir",), "weir"),
    "weir-waitgroup": Peer("weir", ("weir-waitgroup",), "weir, waitgroups"),
    "weir-errgroup": Peer("weir", ("weir-errgroup",), "weir, errgroups"),
    "weir-helping": Peer("weir", ("weir-helping",), "weir, outside_waiters_help"),
    "weir-errgroup-helping": Peer(
        "weir", ("weir-errgroup-helping",), "weir, errgroups, outside_waiters_help"
    ),
    "weir-local": Peer("weir", ("weir-local",), "weir, local order"),
    "weir-local-waitgroup": Peer(
        "weir", ("weir-local-waitgroup",), "weir, local order, waitgroups"
    ),
    "weir-local-helping": Peer(
        "weir", ("weir-local-helping",), "weir, local order, outside_waiters_help"
    ),
    "weir-wakes": Peer("weir-wakes", ("weir",), "weir"),
    "mutex": Peer("mutex", ("in-place",), "mutex ring"),
    "mutex-blocking": Peer("mutex", ("blocking",), "mutex ring, tasks wait for room"),
    "mutex-wakes": Peer("mutex-wakes", ("in-place",), "mutex ring"),
    "nsync": Peer("nsync", ("in-place",), "nsync ring"),
    "go-channels": Peer("go", ("channels",), "Go channel workers"),
    "go-channels-blocking": Peer(
        "go", ("channels-blocking",), "Go channel workers, tasks wait for room"
    ),
    "go-goroutines": Peer("go", ("goroutines",), "Go goroutines and WaitGroup"),
    "go-errgroup": Peer("go", ("errgroup",), "Go errgroup"),
    "tbb": Peer("tbb", ("task_group",), "oneTBB task_group"),
    "tbb-arena": Peer("tbb", ("task_arena",), "oneTBB task_arena::enqueue"),
    "rayon": Peer("rayon", (), "rayon"),
    "uv": Peer("uv", (), "libuv"),
    "glib": Peer("glib", (), "GLib GThreadPool"),
    "asio": Peer("asio", (), "Boost.Asio thread_pool"),
    "openmp": Peer("openmp", (), "OpenMP tasks"),
    "java-executor": Peer("java", ("executor",), "Java ThreadPoolExecutor"),
    "java-forkjoin": Peer("java", ("forkjoin",), "Java ForkJoinPool"),
    "ring-weir": Peer("ring-own", ("weir",), "weir_ring"),
    "ring-vyukov": Peer("ring-own", ("vyukov",), "Vyukov"),
    "ring-mutex": Peer("ring-own", ("mutex",), "mutex"),
    "ring-ck": Peer("ring-ck", ("ck_ring",), "ck_ring"),
    "ring-rte": Peer("ring-dpdk", ("rte_ring",), "rte_ring"),
    "ring-rts": Peer("ring-dpdk", ("rte_ring-RTS",), "rte_ring RTS"),
    "ring-boost": Peer("ring-boost", ("boost-lockfree",), "boost::lockfree::queue"),
    "ring-moodycamel": Peer("ring-moodycamel", ("moodycamel",), "moodycamel"),
}
