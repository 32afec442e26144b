"""What was cleared of UDFs: everything, or of some zooms, places and arguments. Only the newest are told apart."""

from typing import Any, Final

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tileserver.bans import Ban, Bans, Ring
from tileserver.registry.database import Database
from tileserver.registry.schema import now, purge, udf

MOST: Final = 256
"""Places of a UDF that are kept; a look-up of an old entry asks of each."""
_PLACE: Final = ("epoch", "min_zoom", "max_zoom", "min_x", "max_x", "min_y", "max_y", "arguments")
_AREAS: Final = select(*(purge.c[name] for name in (*_PLACE, "rings"))).order_by(purge.c.epoch.desc(), purge.c.seq)


class Clearings:
    """Makes answers of earlier epochs stale; they are not searched for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def everything(self, udf_id: str) -> None:
        """Clear all that is cached of a UDF, files too."""
        async with self._database.change() as connection:
            await connection.execute(_counted(udf_id))
            await _raise_floor(connection, udf_id, None)

    async def areas(self, udf_id: str, bans: list[Ban]) -> None:
        """Clear what is cached of a UDF's tiles in places, whose bans are of an epoch to come.

        Where there are more than `MOST` then, the oldest are joined to one clearing of everything before them.
        """
        async with self._database.change() as connection:
            await connection.execute(_counted(udf_id))
            epoch = (await connection.execute(select(udf.c.epoch).where(udf.c.id == udf_id))).scalar()
            if epoch is None:
                return
            await connection.execute(insert(purge), [_row(udf_id, epoch, ban) for ban in bans])
            kept = select(purge.c.epoch).where(purge.c.udf_id == udf_id).order_by(purge.c.epoch.desc())
            oldest = (await connection.execute(kept.offset(MOST).limit(1))).scalar()
            if oldest is not None:
                await _raise_floor(connection, udf_id, oldest)


async def bans_of(connection: AsyncConnection, udf_id: str, epoch: int, floor: int) -> Bans:
    """What was cleared of a UDF whose last clearing is `epoch`, and the last of everything `floor`."""
    if epoch == floor:
        return Bans(epoch=epoch, floor=floor)
    rows = await connection.execute(_AREAS.where((purge.c.udf_id == udf_id) & (purge.c.epoch > floor)))
    return Bans(epoch=epoch, floor=floor, areas=tuple(map(_ban, rows)))


def _counted(udf_id: str) -> Any:
    return update(udf).where(udf.c.id == udf_id).values(epoch=udf.c.epoch + 1)


async def _raise_floor(connection: AsyncConnection, udf_id: str, epoch: int | None) -> None:
    """Up to an epoch everything is cleared, else up to the last; what is below it need not be told apart."""
    floor = udf.c.epoch if epoch is None else epoch
    await connection.execute(update(udf).where(udf.c.id == udf_id).values(floor=floor))
    below = select(udf.c.floor).where(udf.c.id == udf_id).scalar_subquery()
    await connection.execute(delete(purge).where((purge.c.udf_id == udf_id) & (purge.c.epoch <= below)))


def _row(udf_id: str, epoch: int, ban: Ban) -> dict[str, Any]:
    place = {name: getattr(ban, name) for name in _PLACE[1:]}
    rings = msgspec.json.encode(ban.rings).decode() if ban.rings else None
    return {"udf_id": udf_id, "epoch": epoch, **place, "rings": rings, "created": now()}


def _ban(row: Any) -> Ban:
    fields = dict(row._mapping)
    rings = fields.pop("rings")
    return Ban(**fields, rings=msgspec.json.decode(rings, type=tuple[Ring, ...]) if rings else ())
