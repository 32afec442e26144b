"""What a fresh interpreter loads: the server nothing heavy, the vocabulary nothing at all of others."""

import json
import subprocess
import sys

import pytest

HEAVY = ("numpy", "rasterio", "rio_tiler", "shapely", "geopandas", "pandas", "pyarrow")


def loaded(module: str) -> list[str]:
    """The modules that importing `module` loads, in an interpreter of its own."""
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    return list(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout))


def among(modules: list[str], names: tuple[str, ...]) -> list[str]:
    return [each for each in modules if each.split(".")[0] in names or each.startswith(names)]


@pytest.mark.parametrize("module", ["tileserver.cli.serve", "tileserver.web.app", "tileserver.pipeline"])
def test_the_server_loads_nothing_heavy(module: str) -> None:
    """Arrays and geometries live in workers only."""
    assert among(loaded(module), (*HEAVY, "tileserver.encode", "tileserver.worker")) == []


@pytest.mark.parametrize("module", ["tileserver.worker.process", "tileserver.encode"])
def test_the_worker_loads_nothing_of_the_server(module: str) -> None:
    """Neither the web stack nor the registry nor the cache."""
    strange = ("starlette", "uvicorn", "sqlalchemy", "tileserver.web", "tileserver.registry", "tileserver.tilecache")
    strange += ("tileserver.client",)
    assert among(loaded(module), strange) == []


def test_the_client_loads_neither_side() -> None:
    """Nothing of the server or the worker, and no library that a result may never need."""
    strange = ("starlette", "uvicorn", "sqlalchemy", "tileserver.web", "tileserver.registry", "tileserver.worker")
    assert among(loaded("tileserver.client"), (*HEAVY, *strange, "tileserver.encode", "mapbox_vector_tile")) == []


def test_help_loads_no_client() -> None:
    """A command that asks for nothing does not wait for what could."""
    assert among(loaded("tileserver.cli.token, tileserver.cli.udf"), ("httpx2", "tileserver.client")) == []


def test_the_package_root_loads_nothing() -> None:
    """Public names are resolved on first use."""
    assert [each for each in loaded("tileserver") if each.startswith("tileserver.")] == []
