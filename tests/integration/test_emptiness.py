"""`empty_below`: one run for all the sea."""

from pathlib import Path

import httpx
from server import serving

SOURCE = """
from pathlib import Path
import geopandas, shapely
from tileserver import udf

@udf(empty_below={below}, maxzoom=20)
def {name}(tile, log: str):
    with Path(log).open("a") as file:
        file.write(f"{{tile.z}}/{{tile.x}}/{{tile.y}}\\n")
    if tile.z < 4 or tile.x % 2:
        return geopandas.GeoDataFrame(geometry=[shapely.box(*tile.bounds)], crs=4326)
    return None
"""


def test_what_is_below_is_not_run(tmp_path: Path) -> None:
    """Where the UDF says so; what has something in it says nothing, and a clearing at their zooms ends it."""
    for name, below in (("sea", True), ("land", False)):
        (tmp_path / f"{name}.py").write_text(SOURCE.format(name=name, below=below))
    log = tmp_path / "log"
    with serving(tmp_path / "sea.py", tmp_path / "land.py", data=tmp_path / "data") as server:

        def ask(name: str, z: int, x: int, y: int) -> tuple[int, str]:
            url = f"{server.url}/tiles/{server.token(name)}/{z}/{x}/{y}.mvt"
            answer = httpx.get(url, params={"log": str(log)}, timeout=60)
            return answer.status_code, answer.headers["cache-status"].rpartition("detail=")[2]

        assert ask("sea", 3, 1, 1) == (200, "run")
        assert ask("sea", 4, 2, 2) == (204, "run")
        assert [ask("sea", 9, 64 + x, 64) for x in range(20)] == [(204, "above")] * 20
        assert ask("sea", 9, 64, 64) == (204, "memory")
        assert ask("sea", 20, 2 << 16, 2 << 16) == (204, "above")
        assert ask("sea", 9, 96 + 3, 64) == (200, "run")
        assert log.read_text().split() == ["3/1/1", "4/2/2", "9/99/64"]
        with server.owner() as owner:
            body = {"zooms": [8, 10]}
            assert owner.post("/api/v1/udf/sea/clear", json=body).status_code == 204
        assert [ask("sea", 9, 64, 64), ask("sea", 11, 256, 256)] == [(204, "run"), (204, "above")]
        assert [ask("land", 4, 2, 2), ask("land", 9, 64, 64)] == [(204, "run")] * 2
