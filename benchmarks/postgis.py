"""A PostGIS server of its own for a benchmark, on a socket in a temporary folder: Debian's postgresql-15-postgis-3."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas
import psycopg
import shapely

BINARIES = Path("/usr/lib/postgresql/15/bin")
SETTINGS = (
    "listen_addresses=''",
    "fsync=off",
    "shared_buffers=256MB",
    "work_mem=256MB",
    "jit=off",
    "max_parallel_workers_per_gather=0",
    "autovacuum=off",
)
"""One core, as ours has, and all in memory."""


@contextmanager
def postgis() -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database with PostGIS."""
    folder = Path(tempfile.mkdtemp())
    user = _owner(folder)
    try:
        _run(user, "initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
        options = " ".join(f"-c {each}" for each in SETTINGS) + f" -k {folder}"
        _run(user, "pg_ctl", "-D", str(folder / "data"), "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            with psycopg.connect(host=str(folder), user="postgres", autocommit=True) as connection:
                connection.execute("CREATE EXTENSION postgis")
                yield connection
        finally:
            _run(user, "pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load(connection: psycopg.Connection[Any], name: str, frame: geopandas.GeoDataFrame, kinds: dict[str, str]) -> None:
    """A table of the frame in EPSG:3857 with an index on its geometry; `kinds` are its other columns' SQL types."""
    columns = ", ".join(f'"{column}" {kind}' for column, kind in kinds.items())
    connection.execute(f"CREATE TABLE {name} (id bigint, {columns}, geom geometry(Geometry, 3857))")
    shapes = shapely.to_wkb(shapely.set_srid(frame.geometry.to_numpy(), 3857), hex=True, include_srid=True)
    with connection.cursor().copy(f"COPY {name} FROM STDIN") as copy:
        values = [frame[column].astype(object).where(frame[column].notna(), None) for column in kinds]
        rows = zip(frame.index.tolist(), *values, strict=True)
        for row, shape in zip(rows, shapes, strict=True):
            copy.write_row((*row, shape))
    connection.execute(f"CREATE INDEX ON {name} USING gist (geom)")
    connection.execute(f"VACUUM FULL ANALYZE {name}")


def _owner(folder: Path) -> str | None:
    """Who the server runs as: it refuses to be root."""
    if os.getuid():
        return None
    entry = pwd.getpwnam("postgres")
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return "postgres"


def _run(user: str | None, program: str, *arguments: str) -> None:
    subprocess.run([BINARIES / program, *arguments], user=user, check=True, stdout=subprocess.DEVNULL, cwd="/tmp")
