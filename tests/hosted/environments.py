"""Environments of the real SDK, one for each version: made once per machine by pip, and kept."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REQUIREMENTS = {
    "1.14.2": ("fused[raster,vector]==1.14.2", "pillow"),
    "2.9.5": ("fused[raster,vector]==2.9.5",),
    # It pins NumPy below 2, which today's pyarrow refuses, and imports what IPython 9 has no more.
    "1.8.0": ("fused==1.8.0", "pyarrow<17", "ipython<9"),
}
"""What pip is asked for, by version: what its user asks for today, and what that leaves out."""


def made(folder: Path, versions: list[str]) -> dict[str, Path]:
    """The interpreter of each version's environment; those that are missing are made at the same time."""
    with ThreadPoolExecutor() as pool:
        return dict(zip(versions, pool.map(lambda version: _interpreter(folder, version), versions), strict=True))


def _interpreter(folder: Path, version: str) -> Path:
    asked = "\n".join((sys.version, *REQUIREMENTS[version]))
    place = folder / f"fused-{version}-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"
    if not place.exists():
        _make(place, REQUIREMENTS[version])
    return place / "bin" / "python"


def _make(place: Path, requirements: tuple[str, ...]) -> None:
    """Make an environment aside, and put it in its place whole: another run may be at it too."""
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".making-", dir=place.parent))
    try:
        _run(sys.executable, "-I", "-m", "venv", str(aside / "env"))
        pip = (str(aside / "env" / "bin" / "python"), "-I", "-m", "pip", "--quiet", "--disable-pip-version-check")
        _run(*pip, "install", "--no-compile", "--prefer-binary", *requirements)
        _move(aside / "env", place)
    finally:
        shutil.rmtree(aside)


def _move(made: Path, place: Path) -> None:
    try:
        made.rename(place)
    except OSError:
        if not place.exists():
            raise


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-3000:]}")
