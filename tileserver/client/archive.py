"""Tiles as a PMTiles archive (version 3, https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md)."""

import gzip
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from tileserver.client.decoding import Answer
from tileserver.errors import FormatNotPossibleError, NotFoundError, SetupError
from tileserver.tiles import MAX_LATITUDE, Tile

_TYPES: Final = {
    "application/vnd.mapbox-vector-tile": "MVT",
    "application/x-protobuf": "MVT",
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/avif": "AVIF",
}
_KEPT: Final = ("name", "description", "attribution", "version", "vector_layers", "tilestats")
"""Of TileJSON; its templates have a token in them, which is not for who gets the archive."""


class _Place(NamedTuple):
    """Where a tile lies in what was collected."""

    start: int
    length: int


class Archive:
    """Tiles on their way into an archive, in whatever order they come; a file aside holds them until `write`."""

    def __init__(self, path: str | Path) -> None:
        """Args: path: where it will be written.

        Raises:
            SetupError: the library is missing, or nothing can be written there.
        """
        try:
            import pmtiles.tile
            import pmtiles.writer
        except ImportError:
            raise SetupError("archives take a library: pip install 'udf-tileserver[pmtiles]'") from None
        self._format, self._writer = pmtiles.tile, pmtiles.writer
        self._target = Path(path)
        try:
            self._collected = tempfile.TemporaryFile(dir=self._target.absolute().parent)  # noqa: SIM115 - see `__exit__`
        except OSError as error:
            raise SetupError(f"'{path}' cannot be written: {error.strerror}") from None
        self._places: dict[int, _Place] = {}
        self._media_type = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._collected.close()

    def __len__(self) -> int:
        """How many tiles there are; those without a byte are none."""
        return len(self._places)

    def add(self, tile: Tile, answer: Answer) -> None:
        """Take a tile.

        Raises:
            FormatNotPossibleError: an archive has no such tiles, or has others already.
        """
        if not answer.body:
            return
        media_type = answer.media_type.partition(";")[0]
        self._media_type = self._media_type or media_type
        if media_type not in _TYPES or media_type != self._media_type:
            raise FormatNotPossibleError(
                f"an archive holds tiles of one kind, mvt, png, jpg, webp or avif, not {media_type}"
            )
        # no time in it: equal tiles are there once
        body = gzip.compress(answer.body, 6, mtime=0) if self._is_vector else answer.body
        number = self._format.zxy_to_tileid(tile.z, tile.x, tile.y)
        self._places[number] = _Place(self._collected.tell(), len(body))
        self._collected.write(body)

    @property
    def _is_vector(self) -> bool:
        return _TYPES[self._media_type] == "MVT"

    def write(self, document: dict[str, Any], bounds: tuple[float, float, float, float]) -> None:
        """Write the archive, aside and then in the place of what is there.

        Args:
            document: the layer's TileJSON.
            bounds: west, south, east, north in degrees.

        Raises:
            NotFoundError: there is no tile.
        """
        if not self._places:
            raise NotFoundError("There is no tile with anything on it, so there is no archive.")
        folder, name = self._target.parent, self._target.name
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{name}.", delete=False) as aside:
            try:
                self._write(aside, document, bounds)
                aside.close()
                Path(aside.name).chmod(0o666 & ~_umask())
                Path(aside.name).replace(self._target)
            except BaseException:
                Path(aside.name).unlink(missing_ok=True)
                raise

    def _write(self, file: Any, document: dict[str, Any], bounds: tuple[float, float, float, float]) -> None:
        writer = self._writer.Writer(file)
        for number, (start, length) in sorted(self._places.items()):
            self._collected.seek(start)
            writer.write_tile(number, self._collected.read(length))
        writer.finalize(self._header(bounds), self._metadata(document))

    def _header(self, bounds: tuple[float, float, float, float]) -> dict[str, Any]:
        west, south, east, north = bounds
        middle = (west + east + 360.0 * (west > east)) / 2
        middle -= 360.0 * (middle > 180.0)
        west, east = (-180.0, 180.0) if west > east else (max(west, -180.0), min(east, 180.0))
        south, north = max(south, -MAX_LATITUDE), min(north, MAX_LATITUDE)
        zoom, *_ = self._format.tileid_to_zxy(min(self._places))
        compression = self._format.Compression
        return {
            "tile_type": self._format.TileType[_TYPES[self._media_type]],
            "tile_compression": compression.GZIP if self._is_vector else compression.NONE,
            "min_lon_e7": round(west * 1e7),
            "min_lat_e7": round(south * 1e7),
            "max_lon_e7": round(east * 1e7),
            "max_lat_e7": round(north * 1e7),
            "center_zoom": zoom,
            "center_lon_e7": round(middle * 1e7),
            "center_lat_e7": round((south + north) / 2 * 1e7),
        }

    def _metadata(self, document: dict[str, Any]) -> dict[str, Any]:
        first, last = (self._format.tileid_to_zxy(each)[0] for each in (min(self._places), max(self._places)))
        kept = {name: document[name] for name in _KEPT if document.get(name)}
        if "vector_layers" in kept:
            kept["vector_layers"] = [each | {"minzoom": first, "maxzoom": last} for each in kept["vector_layers"]]
        return kept | {"type": "overlay", "generator": "tileserver"}


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
