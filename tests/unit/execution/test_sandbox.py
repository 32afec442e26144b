"""A nursery in namespaces of its own: what it sees, what it cannot do, and that all of it ends together."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tileserver import processes
from tileserver.errors import SetupError
from tileserver.execution import sandbox
from tileserver.frames import Assembler, Birth, Limits, pack
from tileserver.jobs import Job, Output, Rendered, Source
from tileserver.results import Results
from tileserver.signature import parse

LACKING = sandbox.missing()
strict = pytest.mark.skipif(bool(LACKING), reason=" ".join(LACKING))

ENVIRONMENT = {"PATH": os.defpath, "GIVEN": "yes"}


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def inside(code: str, scratch: Path, *, environment: Mapping[str, str] = ENVIRONMENT, **options: Any) -> str:
    """What `code` prints in a sandbox."""
    line = sandbox.command(sys.executable, ["-P", "-c", code], scratch=scratch, **({"read": []} | options))
    ended = subprocess.run(line, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def eventually(check: Callable[[], bool]) -> bool:
    """Whether it becomes true within ten seconds."""
    until = time.monotonic() + 10
    while not check() and time.monotonic() < until:
        time.sleep(0.01)
    return check()


@strict
def test_only_its_own_processes_are_there(scratch: Path) -> None:
    """Bubblewrap is the first process, what was asked for the second, and there is no third."""
    code = "import os; print(os.getpid(), sorted(int(each) for each in os.listdir('/proc') if each.isdigit()))"
    assert inside(code, scratch) == "2 [1, 2]"


@strict
def test_the_environment_is_what_was_passed(scratch: Path) -> None:
    """The working directory is told besides, by bubblewrap, and Python sets LC_CTYPE for itself."""
    found = json.loads(inside("import json, os; print(json.dumps(dict(os.environ)))", scratch))
    assert {name: value for name, value in found.items() if name != "LC_CTYPE"} == ENVIRONMENT | {"PWD": str(scratch)}


@strict
def test_it_starts_in_scratch_with_no_capabilities(scratch: Path) -> None:
    """Also when the server is root's."""
    code = """
import os, pathlib
status = pathlib.Path("/proc/self/status").read_text().splitlines()
print(os.getcwd(), {line.split()[1] for line in status if line.startswith(("CapEff", "CapPrm", "CapBnd"))})
"""
    assert inside(code, scratch) == f"{scratch} {{'0000000000000000'}}"


@strict
def test_only_scratch_and_declared_data_are_there(scratch: Path) -> None:
    """Not the server's data beside it, nor accounts; data can be read and not written, scratch both."""
    data, registry = scratch.parent / "data", scratch.parent / "registry.sqlite"
    data.mkdir()
    (data / "image").write_text("pixels")
    registry.write_text("secret")
    code = f"""
from pathlib import Path
for path in ({str(registry)!r}, "/etc/passwd", "/etc/shadow", "/root/.ssh", "/home", "/run", "/var"):
    assert not Path(path).exists(), path
for path in ({str(data / "new")!r}, "/new", "/dev/new", "/usr/new"):
    try:
        Path(path).write_text("x")
    except OSError:
        pass
    else:
        raise AssertionError(path)
Path("mine").write_text(Path({str(data / "image")!r}).read_text())
"""
    inside(code, scratch, read=[data])
    assert (scratch / "mine").read_text() == "pixels"
    assert sorted(each.name for each in scratch.parent.iterdir()) == ["data", "registry.sqlite", "scratch"]


@strict
def test_a_hidden_folder_is_empty_though_its_parent_can_be_read(tmp_path: Path) -> None:
    """As the data directory of a server that is started in the folder of its functions' data."""
    scratch = tmp_path / "server" / "scratch"
    scratch.mkdir(parents=True)
    (tmp_path / "server" / "registry.sqlite").write_text("secret")
    (tmp_path / "image").write_text("pixels")
    code = f"""
import os
print(open({str(tmp_path / "image")!r}).read(), os.listdir({str(tmp_path / "server")!r}))
open("mine", "w").close()
"""
    assert inside(code, scratch, read=[tmp_path], hidden=[tmp_path / "server"]) == "pixels ['scratch']"


def test_everything_is_too_much_to_read() -> None:
    """The root over all would cover what the sandbox has of its own."""
    with pytest.raises(SetupError):
        sandbox.readable([Path("/")])


@strict
def test_memory_that_looks_like_files_is_bounded(scratch: Path) -> None:
    """Shared memory and /tmp hold 64 MB each."""
    code = """
for folder in ("/dev/shm", "/tmp"):
    try:
        with open(folder + "/big", "wb") as file:
            for _ in range(65):
                file.write(bytes(1 << 20))
    except OSError as error:
        print(error.errno)
"""
    assert inside(code, scratch) == "28\n28"


@strict
def test_the_network_can_be_taken_away(scratch: Path) -> None:
    """All interfaces of the server, or none but a loopback of its own."""
    code = "import socket; print(sorted(name for _, name in socket.if_nameindex()))"
    assert inside(code, scratch) == str(sorted(name for _, name in socket.if_nameindex()))
    assert inside(code, scratch, network=False) == "['lo']"


DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        print("ready", flush=True)
        time.sleep(600)
    os._exit(0)
time.sleep(600)
"""


def below(pid: int) -> set[int]:
    return set(processes.tree([pid])[1:])


def runs(pid: int) -> bool:
    """Whether it is there, and not just waiting for somebody to ask how it ended."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@strict
def test_a_daemon_ends_with_the_sandbox(scratch: Path) -> None:
    """A process that forked twice and has a session of its own is gone when bubblewrap is killed."""
    line = sandbox.command(sys.executable, ["-c", DAEMON], scratch=scratch, read=[])
    with subprocess.Popen(line, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        inhabitants = below(process.pid)
        process.kill()
    assert len(inhabitants) >= 3, "bubblewrap's first process, the program, the daemon"
    assert eventually(lambda: not any(map(runs, inhabitants)))


@strict
def test_it_ends_with_whoever_started_it(scratch: Path) -> None:
    """A server that is killed leaves nothing."""
    line = sandbox.command(sys.executable, ["-c", DAEMON], scratch=scratch, read=[])
    server = f"import subprocess; subprocess.run({line!r})"
    with subprocess.Popen([sys.executable, "-c", server], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        inhabitants = below(process.pid)
        process.kill()
    assert len(inhabitants) >= 4, "bubblewrap besides"
    assert eventually(lambda: not any(map(runs, inhabitants)))


@pytest.fixture
def nursery(scratch: Path) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """The real one in a sandbox, and our end of its control socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    arguments = ["-P", "-m", "tileserver.worker", str(theirs.fileno())]
    line = sandbox.command(sys.executable, arguments, scratch=scratch, read=[])
    with closing(ours), subprocess.Popen(line, pass_fds=[theirs.fileno()], env=ENVIRONMENT) as process:
        theirs.close()
        ours.settimeout(60)
        try:
            yield process, ours
        finally:
            process.kill()


def heard(control: socket.socket) -> dict[str, int]:
    return dict(msgspec.msgpack.decode(control.recv(65536)))


def born(control: socket.socket, scratch: Path) -> tuple[int, socket.socket]:
    """A new worker: its process id as the nursery sees it, and our end of its channel."""
    ours, theirs = socket.socketpair()
    output, results = os.open(os.devnull, os.O_WRONLY), Results.create()
    read = tuple(sandbox.readable([]))
    birth = Birth(id=1, scratch=str(scratch / "worker"), limits=Limits(memory=10**9, scratch=10**8), read=read)
    (calls, their_calls), (files, their_files) = socket.socketpair(), socket.socketpair()
    with theirs, their_calls, calls, their_files, files:
        given = [theirs.fileno(), output, output, results.descriptor, their_calls.fileno(), their_files.fileno()]
        socket.send_fds(control, [msgspec.msgpack.encode(birth)], given)
    os.close(output)
    results.close()
    ours.settimeout(60)
    return heard(control)["pid"], ours


@strict
def test_a_nursery_serves_from_a_sandbox(nursery: tuple[subprocess.Popen[bytes], socket.socket], scratch: Path) -> None:
    """It says hello, bears a worker, whose function runs; the worker's death is seen, and the server's end obeyed."""
    process, control = nursery
    assert heard(control)["pid"] == 2
    pid, channel = born(control, scratch)
    code = "from tileserver import udf\n@udf\ndef where():\n    import os\n    return {'pid': os.getpid()}\n"
    udf = parse(code, file="where.py")
    job = Job(id=1, digest=udf.digest, tile=None, arguments={}, output=Output(tiled=False), timeout=20, limit=1000)
    channel.sendall(pack(Source(digest=udf.digest, name="where", code=code, entry=udf.entry, path="where.py")))
    channel.sendall(pack(job))
    frames, answers = Assembler(), []
    while not any(isinstance(answer, Rendered) for answer in answers):
        answers += [message for message, _ in frames.feed(channel.recv(65536))]
    outer = sandbox.outer_pid(process.pid, pid)
    assert outer is not None
    assert outer != pid
    os.kill(outer, signal.SIGKILL)
    assert heard(control)["status"] == -signal.SIGKILL
    assert sandbox.outer_pid(process.pid, pid) is None
    channel.close()
    control.close()
    assert process.wait(10) == 0


@strict
def test_the_end_of_a_nursery_is_heard(nursery: tuple[subprocess.Popen[bytes], socket.socket]) -> None:
    """Nobody else in the sandbox keeps the control socket open."""
    process, control = nursery
    hello = heard(control)["pid"]
    outer = sandbox.outer_pid(process.pid, hello)
    assert outer is not None
    os.kill(outer, signal.SIGKILL)
    assert control.recv(1) == b""
    assert process.wait(10) == 128 + signal.SIGKILL


@strict
def test_a_worker_cannot_read_the_environment_of_another(scratch: Path) -> None:
    """Both layers together: neither the nursery's secrets nor another worker's scratch folder."""
    code = f"""
import json, os, sys
from tileserver.worker import sandbox
for name in ("one", "two"):
    os.mkdir(name)
if os.fork() == 0:
    sandbox.confine(json.loads({json.dumps(sandbox.readable([]))!r}), os.path.abspath("one"))
    for path in (f"/proc/{{os.getppid()}}/environ", os.path.abspath("two"), "."):
        try:
            os.close(os.open(path, os.O_RDONLY))
            print("opened", path)
        except PermissionError:
            pass
    print("tried", flush=True)
    os._exit(0)
os.wait()
"""
    assert inside(code, scratch) == "tried"


@strict
def test_nothing_is_missing_where_strict_isolation_works(scratch: Path) -> None:
    """And all of it is in force: the kernel says so of a process that was started that way."""
    own = {"own_user": False}  # the tests' user runs both
    assert sandbox.in_force("strict") == dict.fromkeys(sandbox.LAYERS, True) | own
    only_strict = dict.fromkeys(("landlock", "seccomp", "bubblewrap"), False)
    assert sandbox.in_force("default") == dict.fromkeys(sandbox.LAYERS, True) | own | only_strict


@strict
@pytest.mark.parametrize(
    ("refuse", "layer"),
    [
        ("_filter([_refuse(_EQUAL, 444, 38)])", "Landlock"),
        ("_filter([_refuse(_EQUAL, _machine()[1], 38)])", "seccomp"),
        ("seccomp()", "bubblewrap"),
    ],
)
def test_a_missing_layer_is_named(refuse: str, layer: str) -> None:
    """In a process to which the kernel refuses it: no such call, or no namespaces. Then nothing is in force."""
    code = f"""
from tileserver.worker.sandbox import _EQUAL, _filter, _machine, _refuse, seccomp
from tileserver.execution import sandbox
{refuse}
print(*sandbox.missing(), sep="\\n")
print(any(sandbox.in_force("strict").values()), all(sandbox.in_force("default").values()))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    *sentences, last = ended.stdout.splitlines()
    assert [sentence.split()[0] for sentence in sentences] == [layer]
    assert last == "False False"


def test_bubblewrap_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is looked for on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [sentence for sentence in sandbox.missing() if "bubblewrap" in sentence] == [sandbox._NO_BUBBLEWRAP]
    assert not any(sandbox.in_force("strict").values())


def test_a_user_who_cannot_run_the_interpreter(tmp_path: Path) -> None:
    """That is said, rather than that every layer is missing."""
    if os.getuid() != 0:
        pytest.skip("only root may become somebody else")
    try:
        subprocess.run([sys.executable, "-c", ""], check=True, user=65534, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        assert sandbox.missing(user=65534) == [f"{sys.executable} cannot be run by the user that workers run as."]
    else:
        assert sandbox.missing(user=65534) == LACKING
        assert sandbox.in_force("default", user=65534)["own_user"]


def test_a_user_without_privileges() -> None:
    """Everything is in force for nobody, given an interpreter and a package that nobody can read."""
    program = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("sandbox", sys.argv[1])
sandbox = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sandbox)
print(json.dumps([sandbox.missing(), sandbox.in_force("strict")]))
"""
    python, package = Path("/usr/bin/python3"), Path(sandbox.__file__).parents[2]
    if os.getuid() != 0 or LACKING or not python.exists():
        pytest.skip("it takes root to become nobody, bubblewrap and an interpreter of the system's")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
        packages = next(Path(folder).glob("lib/python3*/site-packages"))
        (packages / "tileserver.pth").write_text(str(package))
        line = [f"{folder}/bin/python", "-P", "-c", program, sandbox.__file__]
        ended = subprocess.run(
            line, capture_output=True, text=True, user=65534, group=65534, extra_groups=(), timeout=60
        )
    if "PermissionError" in ended.stderr:
        pytest.skip("nobody cannot read the package")
    lacking, layers = json.loads(ended.stdout)
    assert lacking == []
    assert layers == dict.fromkeys(sandbox.LAYERS, True) | {"own_user": False}


@strict
def test_folders_that_outlive_it_can_be_written(scratch: Path, tmp_path: Path) -> None:
    """One account's, though it lies in a folder that stays hidden; those beside it are not there."""
    for name in ("one", "other"):
        (tmp_path / "kept" / name).mkdir(parents=True)
    code = f"""
import os
open("{tmp_path}/kept/one/file", "w").write("text")
print(os.listdir("{tmp_path}/kept"))
"""
    kept = tmp_path / "kept"
    assert inside(code, scratch, hidden=[kept], write=[kept / "one"]) == "['one']"
    assert (kept / "one" / "file").read_text() == "text"
