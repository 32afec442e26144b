"""Output options of a query."""

import pytest

from tileserver import query as queries
from tileserver.errors import FormatNotPossibleError, InvalidParameterError
from tileserver.jobs import Output
from tileserver.signature import parse

UDF = parse("@udf(rescale=(0, 9))\ndef f(tile, quality: str = 'x'): ...", file="f.py")


def output(
    text: str = "",
    kind: str | None = "raster",
    extension: str = "",
    *,
    scale: int = 1,
    tiled: bool = True,
    hosted: bool = False,
) -> Output:
    query = queries.parse(text)
    return queries.output(UDF, kind, query, extension=extension, scale=scale, tiled=tiled, hosted=hosted)


@pytest.mark.parametrize(
    ("text", "kind", "extension", "tiled", "names"),
    [
        ("", "raster", "", True, "png"),
        ("", "vector", "", True, "mvt"),
        ("", "table", "", True, "json"),
        ("", "vector", "", False, "geojson"),
        ("", "table", "", False, "parquet"),
        ("", None, "", True, "png,mvt,json,html"),
        ("", None, "", False, "png,geojson,parquet,json,html"),
        ("", "document", "", False, "png,geojson,parquet,json,html"),
        ("format=jpg", "raster", "webp", True, "webp"),
        ("format=jpeg", "raster", "", True, "jpg"),
        ("format=", "raster", "", True, "png"),
        ("format=,", "raster", "", True, "png"),
        ("", "vector", "pbf", True, "mvt"),
        ("", None, "tif", False, "tiff"),
        ("format=npy,tiff,parquet,json", "vector", "", False, "npy,tiff,parquet,json,zip"),
        ("format=NPY, tif,tiff,,parquet, csv", None, "", False, "npy,tiff,parquet,csv"),
        ("format=exe,csv", "table", "", False, "csv"),
        ("format=json,npy,zip", None, "", False, "json,npy,zip"),
        ("format=csv,json", None, "", False, "csv,json"),
        ("format=npy,json", "raster", "png", False, "png"),
        ("dtype_out_raster=webp&dtype_out_vector=csv", "raster", "", True, "webp,csv"),
        ("dtype_out_raster=tiff&dtype_out_vector=parquet", None, "", False, "tiff,parquet"),
        ("dtype_out_raster=webp", None, "", True, "webp,mvt,json,html"),
        ("dtype_out_vector=csv", "raster", "", True, "png,csv"),
        ("format=csv&dtype_out_vector=json", None, "", True, "csv"),
    ],
)
def test_the_formats_follow_extension_then_query_then_kind(
    text: str, kind: str | None, extension: str, tiled: bool, names: str
) -> None:
    """In DESIGN's order; the canonical names are what counts, each once, and what nobody knows is left out."""
    assert ",".join(output(text, kind, extension, tiled=tiled).formats) == names


@pytest.mark.parametrize(
    ("kind", "tiled", "names"),
    [
        ("raster", False, "png"),
        ("vector", False, "parquet"),
        ("table", False, "parquet"),
        (None, False, "png,parquet,json,html"),
        ("vector", True, "mvt"),
    ],
)
def test_a_file_of_the_hosted_api_is_parquet(kind: str | None, tiled: bool, names: str) -> None:
    """Where nobody asks for a format; tiles are as elsewhere."""
    assert ",".join(output("", kind, tiled=tiled, hosted=True).formats) == names


@pytest.mark.parametrize(
    ("text", "kind", "tiled", "hosted", "blank"),
    [
        ("", "raster", True, False, "png"),
        ("", "vector", True, True, "mvt"),
        ("", None, True, False, ""),
        ("", "document", False, False, ""),
        ("", "table", False, False, "parquet"),
        ("format=html", "document", False, False, "html"),
        ("dtype_out_raster=webp&dtype_out_vector=mvt", "raster", True, True, "webp"),
        ("dtype_out_raster=webp&dtype_out_vector=mvt", "vector", True, True, "mvt"),
        ("dtype_out_raster=webp&dtype_out_vector=mvt", None, True, True, ""),
        ("format=npy,tiff,parquet,json", "raster", True, True, ""),
        ("format=npy,tiff,parquet,json", "table", False, True, ""),
        ("format=npy,tiff,parquet,json", "table", False, False, ""),
        ("format=parquet", "table", False, True, ""),
        ("format=parquet", "table", False, False, "parquet"),
        ("format=geojson", "vector", True, True, "geojson"),
        ("format=png", "raster", False, True, ""),
    ],
)
def test_nothing_is_said_by_the_format_of_the_kind(
    text: str, kind: str | None, tiled: bool, hosted: bool, blank: str
) -> None:
    """The hosted API's clients and ours read no byte as None; map clients need a tile."""
    assert output(text, kind, tiled=tiled, hosted=hosted).blank == blank


@pytest.mark.parametrize(
    ("text", "extension", "names"),
    [
        ("", "", False),
        ("format=", "", False),
        ("format=csv", "", True),
        ("dtype_out_vector=mvt", "", True),
        ("a=1", "png", True),
    ],
)
def test_who_names_a_format_needs_no_kind(text: str, extension: str, names: bool) -> None:
    """The worker chooses by the result."""
    assert queries.names_format(queries.parse(text), extension) is names


@pytest.mark.parametrize(
    ("kind", "extension"), [("raster", "mvt"), ("vector", "png"), ("raster", "exe"), (None, "exe"), ("table", "tif")]
)
def test_a_format_that_cannot_be_says_which_can(kind: str | None, extension: str) -> None:
    """A refusal before any worker."""
    with pytest.raises(FormatNotPossibleError, match=extension):
        output(kind=kind, extension=extension)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (
            "format=png,npy",
            "table",
            "'png' is not possible: this layer is table and can be parquet, feather, ex",
        ),
        ("format=exe,com", None, "'exe' is not a format that can be served"),
        ("dtype_out_vector=zip&dtype_out_raster=tiff", "vector", "'tiff' is not possible: this layer is vector"),
        ("format=%3Cb%3E", None, "'That' is not a format"),
    ],
)
def test_a_list_of_which_none_can_be_is_refused(text: str, kind: str | None, message: str) -> None:
    """Naming the first, or the one that nobody knows."""
    with pytest.raises(FormatNotPossibleError, match=message):
        output(text, kind)


def test_options_yield_to_parameters_of_the_same_name() -> None:
    """`quality` is the UDF's own here."""
    assert output("quality=90").quality == 75


def test_sizes_and_ranges() -> None:
    """The scale is in the size; a range of the query goes before the UDF's."""
    assert output("tile_size=512", scale=2).size == 1024
    assert output().rescale == ((0, 9),)
    assert output("rescale=1,2,3,4").rescale == ((1, 2), (3, 4))
    assert output("bands=3,2,1").bands == (3, 2, 1)


def test_how_a_picture_shall_look() -> None:
    """By the query, else by the UDF, else as is usual."""
    usual, asked = output(), output("gamma=1.5&lossless=true&compression=smallest&colormap=magma")
    assert (usual.gamma, usual.lossless, usual.compression, usual.colormap) == (1, False, "fast", None)
    assert (asked.gamma, asked.lossless, asked.compression, asked.colormap) == (1.5, True, "smallest", "magma")
    udf = parse("@udf(gamma=2, compression='smallest', colormap=['red', 'blue'])\ndef f(tile): ...", file="f.py")
    own = queries.output(udf, "raster", {}, extension="", scale=1, tiled=True)
    assert (own.gamma, own.compression, own.colormap) == (2, "smallest", '["red","blue"]')
    assert output("lossless=0").lossless is False
    assert (output().clip, output("clip=true").clip, output("clip=1", tiled=False).clip) == (False, True, False)
    assert queries.output(udf, "raster", {"gamma": [""]}, extension="", scale=1, tiled=True).gamma == 2


def test_the_colours_of_a_query() -> None:
    """Are those of the output, without the rest."""
    assert queries.colours(UDF, queries.parse("colormap=magma")) == (((0, 9),), "magma")
    assert queries.colours(UDF, queries.parse("rescale=1,2")) == (((1, 2),), None)


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
        "gamma=0",
        "gamma=nan",
        "gamma=1,2",
        "gamma=-1",
        "gamma=11",
        "lossless=yes!",
        "clip=perhaps",
        "compression=best",
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
