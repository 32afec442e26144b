"""Output options of a query."""

import pytest

from tileserver import query as queries
from tileserver.errors import FormatNotPossibleError, InvalidParameterError
from tileserver.jobs import Output
from tileserver.signature import parse

UDF = parse("@udf(rescale=(0, 9))\ndef f(tile, quality: str = 'x'): ...", file="f.py")


def output(
    text: str = "", kind: str | None = "raster", extension: str = "", *, scale: int = 1, tiled: bool = True
) -> Output:
    return queries.output(UDF, kind, queries.parse(text), extension=extension, scale=scale, tiled=tiled)


@pytest.mark.parametrize(
    ("text", "kind", "extension", "tiled", "name"),
    [
        ("", "raster", "", True, "png"),
        ("", "vector", "", True, "mvt"),
        ("", "vector", "", False, "geojson"),
        ("", "table", "", False, "parquet"),
        ("", None, "", True, None),
        ("", "document", "", False, None),
        ("format=jpg", "raster", "webp", True, "webp"),
        ("format=jpeg", "raster", "", True, "jpg"),
        ("", "vector", "pbf", True, "mvt"),
        ("format=npy,tiff,parquet,json", "vector", "", False, "parquet"),
        ("dtype_out_raster=webp&dtype_out_vector=csv", "raster", "", True, "webp"),
        ("dtype_out_raster=webp&dtype_out_vector=csv", "vector", "", False, "csv"),
    ],
)
def test_the_format_follows_extension_then_query_then_kind(
    text: str, kind: str | None, extension: str, tiled: bool, name: str | None
) -> None:
    """In DESIGN's order; the canonical name is what counts."""
    assert output(text, kind, extension, tiled=tiled).format == name


@pytest.mark.parametrize(
    ("kind", "extension"), [("raster", "mvt"), ("vector", "png"), ("raster", "exe"), (None, "exe")]
)
def test_a_format_that_cannot_be_says_which_can(kind: str | None, extension: str) -> None:
    """A refusal before any worker."""
    with pytest.raises(FormatNotPossibleError, match=extension):
        output(kind=kind, extension=extension)


def test_options_yield_to_parameters_of_the_same_name() -> None:
    """`quality` is the UDF's own here."""
    assert output("quality=90").quality == 75


def test_sizes_and_ranges() -> None:
    """The scale is in the size; a range of the query goes before the UDF's."""
    assert output("tile_size=512", scale=2).size == 1024
    assert output().rescale == ((0, 9),)
    assert output("rescale=1,2,3,4").rescale == ((1, 2), (3, 4))
    assert output("bands=3,2,1").bands == (3, 2, 1)


@pytest.mark.parametrize(
    "text",
    [
        "tile_size=9",
        "tile_size=9999",
        "tile_size=x",
        "rescale=1",
        "rescale=2,1",
        "rescale=nan,1",
        "bands=0",
        "bands=x",
        "rescale=-inf,inf",
        "rescale=1,inf",
        "rescale=1_0,2_0",
        "rescale=1,٣",
        "tile_size=0x10",
        "tile_size=²56",
        "bands=1_0",
        "bands=" + "9" * 5000,
    ],
)
def test_an_option_that_cannot_be_is_named(text: str) -> None:
    """422 with the option's name."""
    with pytest.raises(InvalidParameterError, match=text.partition("=")[0]):
        output(text)


def test_too_many_parameters_are_refused() -> None:
    """A query of thousands of names costs nothing."""
    with pytest.raises(InvalidParameterError):
        queries.parse("&".join(f"a{index}=1" for index in range(5000)))
