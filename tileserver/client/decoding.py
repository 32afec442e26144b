"""Answers as objects, by their media type. What is read with a library loads it then, and not before."""

import io
import json
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final
from zipfile import ZipFile

import msgspec

from tileserver.errors import SetupError


class Answer(msgspec.Struct, frozen=True):
    """What the server sent."""

    body: bytes
    media_type: str
    kept: bool = True
    """Whether the server keeps it for whoever asks next."""

    @property
    def data(self) -> Any:
        """The body as an object; see `decode`."""
        return decode(self.body, self.media_type)


_META: Final = "meta.json"


def decode(body: bytes, media_type: str) -> Any:
    """A body as an object; None of nothing, and bytes of what has no other form.

    Pictures and TIFFs become arrays (bands, height, width), npy the array that it holds; a TIFF with a place a pair of
    array and bounds (west, south, east, north in degrees); Parquet, CSV and GeoJSON a DataFrame or GeoDataFrame; a
    vector tile a dict of layers by name; a zip of parts a dict of them; JSON data; text str.

    Raises:
        SetupError: a library that reads it is not installed.
    """
    if not body:
        return None
    kind, _, parameters = media_type.lower().partition(";")
    read = _READERS.get(kind.strip())
    if read is not None:
        return read(body)
    return _text(body, parameters) if kind.startswith("text/") else body


def _library(module: str, package: str, what: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise SetupError(f"{what} is read with {package}, which is not installed: pip install {package}") from None


def _picture(body: bytes) -> Any:
    """(bands, height, width); a palette is resolved."""
    numpy, pillow = _library("numpy", "numpy", "a picture"), _library("PIL.Image", "pillow", "a picture")
    with pillow.open(io.BytesIO(body)) as image:
        if image.mode in ("1", "P"):
            image = image.convert({"1": "L"}.get(image.mode, "RGBA" if "transparency" in image.info else "RGB"))
        pixels = numpy.asarray(image)
    return pixels[numpy.newaxis] if pixels.ndim == 2 else numpy.moveaxis(pixels, 2, 0)


def _npy(body: bytes) -> Any:
    return _library("numpy", "numpy", "an array").load(io.BytesIO(body), allow_pickle=False)


def _tiff(body: bytes) -> Any:
    """The array, masked where values are missing; a pair with its bounds where it has a place.

    Tags of the hosted API (section 2.6) say which shape and bounds a function gave it; an array without bounds of its
    own stays one, wherever it was drawn.
    """
    rasterio = _library("rasterio", "rasterio", "a TIFF")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", import_module("rasterio.errors").NotGeoreferencedWarning)
        with rasterio.MemoryFile(body) as file, file.open() as data:
            complete = all(flags == [rasterio.enums.MaskFlags.all_valid] for flags in data.mask_flag_enums)
            array, tags, degrees = data.read(masked=not complete), data.tags(ns="fused"), _degrees(data)
    if "shape" in tags:
        array = array.reshape(json.loads(tags["shape"]))
    if "bounds" in tags:
        return array, tuple(json.loads(tags["bounds"]))
    return array if degrees is None or tags.get("orig_type") == "numpy.ndarray" else (array, degrees)


def _degrees(data: Any) -> tuple[float, ...] | None:
    """Bounds of an open raster in degrees; None where it has no place."""
    if data.crs is None:
        return None
    bounds: tuple[float, ...] = import_module("rasterio.warp").transform_bounds(data.crs, "EPSG:4326", *data.bounds)
    return bounds


def _parquet(body: bytes) -> Any:
    """A GeoDataFrame where the file says which columns are geometries."""
    parquet = _library("pyarrow.parquet", "pyarrow", "a Parquet file")
    has_geometry = b"geo" in (parquet.read_schema(io.BytesIO(body)).metadata or {})
    name = "geopandas" if has_geometry else "pandas"
    return _library(name, name, "a Parquet file").read_parquet(io.BytesIO(body))


def _geojson(body: bytes) -> Any:
    """A GeoDataFrame in degrees, EPSG:4326, indexed by the features' ids where each has one."""
    geopandas = _library("geopandas", "geopandas", "GeoJSON")
    features = json.loads(body).get("features", [])
    if not features:
        return geopandas.GeoDataFrame(geometry=[], crs=4326)
    frame = geopandas.GeoDataFrame.from_features(features, crs=4326)
    ids = [each.get("id") for each in features]
    if None not in ids:
        frame.index = ids
    return frame


def _csv(body: bytes) -> Any:
    pandas = _library("pandas", "pandas", "CSV")
    return pandas.read_csv(io.BytesIO(body)) if body.strip() else pandas.DataFrame()


def _vector_tile(body: bytes) -> Any:
    """Layers by name, each with its features in the tile's own units, y upwards."""
    return _library("mapbox_vector_tile", "mapbox-vector-tile", "a vector tile").decode(body)


def _zip(body: bytes) -> Any:
    """A dict of parts, each decoded, where the file says what they are (hosted API, section 2.6); else the bytes."""
    with ZipFile(io.BytesIO(body)) as file:
        if _META not in file.namelist():
            return body
        types = json.loads(file.read(_META))["files"]
        return {name: decode(part := file.read(name), _part_type(part, each)) for name, each in types.items()}


def _part_type(part: bytes, described: dict[str, str]) -> str:
    """The hosted API calls Parquet a stream of octets."""
    return "application/vnd.apache.parquet" if part.startswith(b"PAR1") else described["content_type"]


def _text(body: bytes, parameters: str) -> str:
    name = parameters.partition("charset=")[2].partition(";")[0].strip(" \"'")
    try:
        return body.decode(name or "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


_READERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "image/png": _picture,
    "image/jpeg": _picture,
    "image/webp": _picture,
    "image/gif": _picture,
    "image/tiff": _tiff,
    "application/x-numpy-data": _npy,
    "application/x-npy": _npy,
    "application/vnd.apache.parquet": _parquet,
    "application/geo+json": _geojson,
    "application/vnd.mapbox-vector-tile": _vector_tile,
    "application/json": json.loads,
    "application/zip": _zip,
    "text/csv": _csv,
}
