"""What a confined process can no longer do, tried in real processes, and what it still can."""

import ast
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_bounds

from tileserver.execution.sandbox import readable
from tileserver.worker import sandbox

pytestmark = pytest.mark.skipif(
    not (sandbox.landlock_abi() and sandbox.seccomp_available()), reason="the kernel has no Landlock or no seccomp"
)

CONFINED = """
import ctypes, errno, json, os, signal, socket, subprocess, sys
from pathlib import Path
from tileserver.worker import sandbox
scratch, outside, read, *rest = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]), *sys.argv[4:]
os.chdir(scratch)
os.environ["TMPDIR"] = str(scratch)
def call(number, *arguments):
    return (ctypes.get_errno() if sandbox._libc.syscall(number, *arguments) < 0 else 0)
sandbox.confine(read, str(scratch))
"""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A scratch folder, and one beside it with a secret."""
    scratch, outside = tmp_path / "scratch", tmp_path / "outside"
    scratch.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("secret")
    return scratch, outside


def confined(folders: tuple[Path, Path], code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The end of a process that runs `code` once it is confined."""
    scratch, outside = folders
    line = [sys.executable, "-c", CONFINED + code, str(scratch), str(outside), json.dumps(readable([]))]
    return subprocess.run([*line, *arguments], capture_output=True, text=True, check=False, timeout=60)


def printed(folders: tuple[Path, Path], code: str, *arguments: str) -> str:
    ended = confined(folders, code, *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@pytest.mark.parametrize(
    "attempt",
    [
        "open('/etc/passwd')",
        "os.listdir('/')",
        "open(outside / 'secret')",
        "open(outside / 'new', 'w')",
        "os.truncate(outside / 'secret', 0)",
        "os.unlink(outside / 'secret')",
        "os.mkdir(outside / 'folder')",
        "os.symlink(outside / 'secret', scratch / 'link') or open(scratch / 'link')",
        "open(Path(sandbox.__file__).with_name('new.py'), 'w')",
        "open(f'/proc/{os.getppid()}/mem', 'rb')",
        "os.open(f'/proc/{os.getppid()}/root/etc/passwd', os.O_RDONLY)",
        "os.kill(os.getppid(), 0)",
        "subprocess.run([str(outside / 'program')])",
    ],
)
def test_what_is_outside_is_out_of_reach(folders: tuple[Path, Path], attempt: str) -> None:
    """Files, other processes' secrets, signals and programs: each attempt fails for lack of permission."""
    program = folders[1] / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    ended = confined(folders, attempt)
    assert "PermissionError" in ended.stderr.splitlines()[-1], ended
    assert (folders[1] / "secret").read_text() == "secret"


def test_a_file_cannot_be_moved_in_or_out(folders: tuple[Path, Path]) -> None:
    """Renaming and linking between folders need permission on both sides."""
    code = """
(scratch / "mine").write_text("mine")
for source, target in ((scratch / "mine", outside / "mine"), (outside / "secret", scratch / "secret")):
    for move in (os.rename, os.link):
        try:
            move(source, target)
            print("moved", source)
        except OSError as error:
            assert error.errno in (errno.EXDEV, errno.EACCES, errno.EPERM), error
"""
    assert printed(folders, code) == ""


def test_scratch_is_free(folders: tuple[Path, Path]) -> None:
    """Everything one does with files works in there, and null and shared memory work elsewhere."""
    code = """
import tempfile
(scratch / "a" / "b").mkdir(parents=True)
(scratch / "a" / "file").write_text("kept")
(scratch / "a" / "file").rename(scratch / "a" / "b" / "file")
os.truncate(scratch / "a" / "b" / "file", 2)
os.symlink("b", scratch / "a" / "link")
with tempfile.TemporaryFile() as file:
    file.write(b"x")
with open(os.devnull, "w") as file:
    file.write("x")
print((scratch / "a" / "link" / "file").read_text())
"""
    assert printed(folders, code) == "ke"


def test_tcp_is_allowed(folders: tuple[Path, Path]) -> None:
    """Functions read from object stores."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = "print(socket.create_connection(('127.0.0.1', int(rest[0])), 5).getpeername()[0])"
        assert printed(folders, code, str(server.getsockname()[1])) == "127.0.0.1"


@pytest.mark.skipif(sandbox.landlock_abi() < 6, reason="Landlock knows abstract sockets from ABI 6 on")
def test_abstract_sockets_of_others_are_out_of_reach(folders: tuple[Path, Path]) -> None:
    """Those have no file whose permissions could protect them."""
    name = f"\0tileserver-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        ended = confined(folders, "socket.socket(socket.AF_UNIX).connect('\\0' + rest[0])", name[1:])
    assert "PermissionError" in ended.stderr


def test_every_call_of_the_table_is_refused(folders: tuple[Path, Path]) -> None:
    """With "not permitted", for root too."""
    code = """
assert sandbox.in_force()["seccomp"]
print(json.dumps({name: call(number, 0, 0, 0, 0, 0, 0) for name, number in sandbox._machine()[-1].items()}))
"""
    refused = json.loads(printed(folders, code))
    assert {"ptrace", "unshare", "mount", "bpf", "keyctl", "userfaultfd", "io_uring_setup", "setns"} <= refused.keys()
    assert set(refused.values()) == {1}


def test_no_namespace_through_clone(folders: tuple[Path, Path]) -> None:
    """clone refuses each of its flags for one, and clone3 does not exist."""
    code = """
flags = [1 << bit for bit in range(32) if sandbox._CLONE_NEW & 1 << bit]
clone = sandbox._machine()[2]
print(len(flags), {call(clone, flag | signal.SIGCHLD, 0, 0, 0, 0) for flag in flags}, call(435, 0, 0))
"""
    assert printed(folders, code) == "7 {1} 38"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 is a second set of numbers on x86_64")
def test_no_second_door(folders: tuple[Path, Path]) -> None:
    """x32's getpid is refused, though getpid is not: its numbers would lead around the table."""
    assert printed(folders, "print(call(0x40000000 + 39), call(39))") == "1 0"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="it is machine code")
def test_code_of_another_architecture_is_killed(folders: tuple[Path, Path]) -> None:
    """i386's getpid through `int 0x80`, where the same number means another call."""
    code = """
import mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes.fromhex("b814000000cd80c3"))
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""
    # A kernel without i386 has no such door at all: a segmentation fault.
    assert -confined(folders, code).returncode in (signal.SIGSYS, signal.SIGSEGV)


@pytest.mark.parametrize(
    ("machine", "header"),
    [
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        ("aarch64", "/usr/include/asm-generic/unistd.h"),
    ],
)
def test_numbers_are_the_kernel_s(machine: str, header: str) -> None:
    """Every number of the tables that the installed header knows."""
    if not Path(header).exists():
        pytest.skip(f"{header} is not installed")
    known = dict(re.findall(r"^#define __NR_(\w+)\s+(\d+)", Path(header).read_text(), re.MULTILINE))
    _, seccomp, clone, refused = sandbox._MACHINES[machine]
    ours = refused | {"seccomp": seccomp, "clone": clone, "clone3": 435}
    assert {name: number for name, number in ours.items() if int(known.get(name, number)) != number} == {}
    assert len(known.keys() & ours.keys()) > 50


def test_children_are_bound_too(folders: tuple[Path, Path]) -> None:
    """By exec as by fork."""
    code = """
program = "import os; os.unshare(0) if hasattr(os, 'unshare') else None; open('/etc/passwd')"
print(subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True).stderr.splitlines()[-1])
"""
    assert "PermissionError" in printed(folders, code)


def test_what_is_in_force_is_asked_of_the_kernel(folders: tuple[Path, Path]) -> None:
    """False before, true after."""
    assert not any(sandbox.in_force()[layer] for layer in ("landlock", "seccomp"))
    told = ast.literal_eval(printed(folders, "print(sandbox.in_force())"))
    assert (told["landlock"], told["seccomp"], told["no_new_privs"]) == (True, True, True)


def test_missing_paths_are_skipped(folders: tuple[Path, Path]) -> None:
    """A list may name what only other systems have."""
    code = "sandbox.landlock(['/nowhere', str(scratch)], ['/nowhere/either']); print('bound')"
    assert printed(folders, code) == "bound"


WORKS = {
    "numpy": """
import numpy as np
from numpy.linalg import inv
print((np.ones((500, 500)) @ np.ones((500, 500))).sum() == 500**3, inv(np.eye(50)).sum() == 50)
""",
    "rasterio": """
import rasterio, rasterio.warp
with rasterio.open("image.tif") as image:
    print(image.read(1).sum() == 64 * 64 * 7, rasterio.warp.transform("EPSG:4326", image.crs, [0], [0])[0] == [0])
""",
    "pyarrow": """
import pyarrow as pa, pyarrow.parquet as pq
pq.write_table(pa.table({"a": range(1000)}), "table.parquet")
print(pq.read_table("table.parquet").num_rows == 1000, sum(pa.compute.add(pa.array([1]), 1).to_pylist()) == 2)
""",
    "geopandas": """
import geopandas, shapely
geopandas.GeoSeries([shapely.Point(1, 2)], crs=4326).to_crs(3857).to_file("points.gpkg")
print(len(geopandas.read_file("points.gpkg")) == 1, True)
""",
    "threads": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(int, range(100))) == 4950, True)
""",
    "subprocess": """
print(subprocess.run(["sh", "-c", "echo $((6 * 7))"], stdout=subprocess.PIPE, check=True).stdout == b"42\\n",
      subprocess.run([sys.executable, "-c", "import numpy"], check=True).returncode == 0)
""",
    "multiprocessing": """
import multiprocessing
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(abs, [-1, -2]) == [1, 2], True)
""",
    "asyncio and sqlite": """
import asyncio, sqlite3
print(asyncio.run(asyncio.sleep(0, True)), sqlite3.connect("base.db").execute("select 1").fetchone() == (1,))
""",
}


@pytest.mark.parametrize("library", WORKS)
def test_what_functions_do_works(folders: tuple[Path, Path], library: str) -> None:
    """Arrays, rasters, tables, threads and processes."""
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 1, "dtype": "uint8", "crs": "EPSG:3857"}
    transform = from_bounds(0, 0, 64, 64, 64, 64)
    with rasterio.open(folders[0] / "image.tif", "w", transform=transform, **profile) as image:
        image.write(np.full((1, 64, 64), 7, np.uint8))
    assert printed(folders, WORKS[library]) == "True True"
