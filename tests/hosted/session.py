"""A real SDK at work: its driver as a process, and the files in its home folder that point it at a server."""

import json
import os
import select
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

DRIVER: Final = Path(__file__).with_name("driver.py")
TIMEOUT: Final = 60
"""Seconds for a cell; the SDK's own limits are longer."""


@dataclass(frozen=True)
class Raised:
    """An exception that the SDK raised."""

    kind: str
    """Its class's name."""
    text: str
    bases: Sequence[str]
    child: str | None
    """The class of what the UDF raised, where the SDK tells it."""
    traceback: str


class Sdk:
    """One version of the SDK with one home folder; its process starts at the first cell and is as a notebook's."""

    def __init__(self, version: str, python: Path, home: Path) -> None:
        self.version, self.python, self.home = version, python, home
        self.printed = self.warned = ""
        self._process: subprocess.Popen[str] | None = None

    @property
    def old(self) -> bool:
        """Whether it is of the 1.x line."""
        return self.version.startswith("1.")

    def get(self, source: str, **names: Any) -> Any:
        """The description of the last expression's value, `names` being set before.

        Raises:
            AssertionError: the SDK raised; says what.
        """
        told = self._cell(source, names)
        assert "value" in told, f"{source}\n{told['raised']['traceback']}{told['stdout']}{told['stderr'][-3000:]}"
        return told["value"]

    def raised(self, source: str, **names: Any) -> Raised:
        """What the SDK raises.

        Raises:
            AssertionError: it raised nothing; says what it gave instead.
        """
        told = self._cell(source, names)
        assert "raised" in told, f"{source}\n{told['value']}"
        return Raised(**told["raised"])

    def close(self) -> None:
        """End its process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _cell(self, source: str, names: dict[str, Any]) -> dict[str, Any]:
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"source": source, "names": names}) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], TIMEOUT)
        line = process.stdout.readline() if ready else ""
        if not line:
            self.close()
            raise AssertionError(f"no answer to {source!r}:\n{self._log.read_text()[-3000:]}")
        told: dict[str, Any] = json.loads(line)
        self.printed, self.warned = told["stdout"], told["stderr"]
        return told

    @property
    def _log(self) -> Path:
        return self.home / "driver.log"

    def _start(self) -> "subprocess.Popen[str]":
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        with self._log.open("w") as log:
            return subprocess.Popen(
                [str(self.python), str(DRIVER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=kept | {"HOME": str(self.home)},
                cwd=self.home,
            )


def settle(home: Path, url: str, private_token: str | None) -> Path:
    """A home folder that points every version of the SDK at a server (hosted API, section 1.3, way D)."""
    folder = home / ".fused"
    folder.mkdir(parents=True)
    base = f"{url}/server/v1"
    settings = {"base_url": base, "shared_udf_base_url": f"{base}/realtime-shared"}
    (folder / "settings.toml").write_text("".join(f'{name} = "{value}"\n' for name, value in settings.items()))
    if private_token is not None:
        (folder / "credentials").write_text(json.dumps(_credentials(private_token)))
    return home


def _credentials(private_token: str) -> dict[str, Any]:
    return {
        "access_token": private_token,
        "auth_scheme": "Bearer",
        "token_type": "Bearer",
        "refresh_token": "x",
        "id_token": "x",
        "scope": "openid",
        "expires_in": 3153600000,
        "expires_at": "2124-01-01T00:00:00+00:00",
    }
