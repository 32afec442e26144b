"""Map clients from npm: packed by name and version, unpacked into a folder, without their dependencies."""

import subprocess
import tarfile
from pathlib import Path

PACKAGES = {"deck.gl": "9.4.0", "@loaders.gl/mvt": "4.5.2", "leaflet": "1.9.4", "leaflet.vectorgrid": "1.3.0"}


def unpack(folder: Path) -> None:
    """Put every package into a folder of its name, unless it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, version in PACKAGES.items():
        if not (folder / name / "package.json").is_file():
            _unpack(folder, name, version)


def _unpack(folder: Path, name: str, version: str) -> None:
    command = ["npm", "pack", "--silent", f"{name}@{version}"]
    packed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    if packed.returncode:
        raise RuntimeError(f"npm pack {name}@{version}: {packed.stderr.strip()}")
    archive = folder / packed.stdout.split()[-1]
    with tarfile.open(archive) as opened:
        opened.extractall(folder / ".unpacked", filter="data")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / ".unpacked" / "package").rename(folder / name)
    archive.unlink()
