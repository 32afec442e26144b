"""The notebook of the examples, run from top to bottom against a server over them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from absent import missing
from server import Running, serving

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOK = EXAMPLES / "notebooks" / "lonboard.ipynb"
FACTS = """
import json
print(json.dumps({
    "template": relief.data,
    "count": len(hexagons),
    "crs": hexagons.crs.to_epsg(),
    "bounds": list(hexagons.total_bounds),
    "nearest": cities["city"].tolist()[:3],
}))
"""


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`tileserver serve examples/`."""
    with serving(EXAMPLES, data=tmp_path_factory.mktemp("notebook") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def ran(examples: Running) -> Any:
    """The notebook with the outputs of its cells, and a last one that tells what the names hold."""
    try:
        import lonboard  # noqa: F401
        import nbformat
        from nbclient import NotebookClient
    except ImportError:
        missing("the extra [clients] is not installed")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(FACTS))
    environment = os.environ | {"TILESERVER_DATA_DIR": str(examples.data)}
    client = NotebookClient(
        notebook, timeout=50, kernel_name="python3", resources={"metadata": {"path": NOTEBOOK.parent}}
    )
    return client.execute(env=environment)


def outputs(notebook: Any, text: str) -> list[Any]:
    """What the cell with a text in it gave."""
    (cell,) = [each for each in notebook.cells if each.cell_type == "code" and text in each.source]
    return list(cell.outputs)


def test_nothing_fails_or_warns(ran: Any) -> None:
    """Each cell gives what it is for: a list, a map, a table, a sentence; none writes a warning."""
    given = [output for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in given if output.output_type == "error" or output.get("name") == "stderr"] == []
    for text in ("Map(relief", "Map([relief"):
        assert "application/vnd.jupyter.widget-view+json" in outputs(ran, text)[0].data
    assert "<iframe" in outputs(ran, 'client.udf("relief")')[0].data["text/html"]
    for text in ("hexagons.head()", "cities.head()"):
        assert "<table" in outputs(ran, text)[0].data["text/html"]


def test_what_the_names_hold(ran: Any, examples: Running) -> None:
    """Tiles of the server, hexagons all over their tile, cities from near to far."""
    facts = json.loads(ran.cells[-1].outputs[0].text)
    assert facts["template"].startswith(f"{examples.url}/tiles/{examples.token('relief')}/")
    assert facts["crs"] == 4326
    assert facts["count"] > 24 * 20
    west, south, east, north = facts["bounds"]
    assert (west, east) == pytest.approx((0, 90), abs=12)
    assert (south, north) == pytest.approx((0, 66.5), abs=12)
    assert facts["nearest"][0] == "London"


def test_the_layer_draws(ran: Any, examples: Running) -> None:
    """The address in the map's layer leads to a picture."""
    template = json.loads(ran.cells[-1].outputs[0].text)["template"]
    with examples.client() as client:
        answer = client.get(template.format(z=3, x=4, y=2))
    assert answer.headers["content-type"] == "image/png"


def test_the_reader_learns_what_was_wrong(ran: Any) -> None:
    """A parameter that does not convert is named."""
    assert outputs(ran, 'longitude="east"')[0].text.startswith("Parameter 'longitude'")


def test_it_is_kept_without_outputs() -> None:
    """Nothing of a run is in the file."""
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
