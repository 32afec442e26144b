"""Each guard is worth a test: taken away, one turns red. The tests run on a copy, changed in one place."""

import contextlib
import os
import shutil
import signal
import subprocess
import sysconfig
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from guards import GUARDS, Guard
from processes import every

ROOT = Path(__file__).parents[2]


def slow(test: Callable[..., None]) -> Callable[..., None]:
    """Not for every landing."""
    return pytest.mark.slow(pytest.mark.timeout(600)(test))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project once more, to be changed."""
    place = tmp_path_factory.mktemp("guards")
    venv.create(place / "env", symlinks=True)
    packages = next((place / "env").glob("lib/python*/site-packages"))
    (packages / "copy.pth").write_text(f"{place}\n{sysconfig.get_path('purelib')}\n")
    for name in ("tileserver", "tests", "examples"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", place)
    yield place
    for pid in every():  # without its guards, not everything ends
        with contextlib.suppress(OSError):
            if f"{place}/env/".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(place)


def outcome(copy: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests on the copy until one fails."""
    return python(copy, "-m", "pytest", "-n", "0", "-x", "-p", "no:cacheprovider", f"--basetemp={copy}/tmp", *tests)


def python(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Its interpreter finds the copy before what is installed, in nurseries as well."""
    command = [str(copy / "env/bin/python"), *arguments]
    environment = {name: text for name, text in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    environment |= {"PATH": f"{copy}/env/bin:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)


def test_guards_are_found_where_they_are() -> None:
    """Each in one place: the slow tests below take it away there."""
    code = {guard.file: (ROOT / "tileserver" / guard.file).read_text() for guard in GUARDS}
    assert [guard.name for guard in GUARDS if code[guard.file].count(guard.code) != 1] == []


@slow
def test_the_copy_is_what_runs(copy: Path) -> None:
    """And with all guards every test is green."""
    found = python(copy, "-P", "-c", "import tileserver; print(tileserver.__file__)")
    assert found.stdout.strip() == str(copy / "tileserver" / "__init__.py"), found.stderr
    ran = outcome(copy, *sorted({test for guard in GUARDS for test in guard.tests}))
    assert ran.returncode == 0, ran.stdout[-3000:]


@slow
@pytest.mark.parametrize("guard", GUARDS, ids=[guard.name.replace(" ", "_") for guard in GUARDS])
def test_without_a_guard_a_test_is_red(copy: Path, guard: Guard) -> None:
    """Red because it failed, not because it could not be run."""
    file = copy / "tileserver" / guard.file
    code = file.read_text()
    file.write_text(code.replace(guard.code, guard.instead))
    try:
        ran = outcome(copy, *guard.tests)
    finally:
        file.write_text(code)
    assert ran.returncode == 1, ran.stdout[-3000:] + ran.stderr[-1000:]
    assert "1 failed" in ran.stdout
