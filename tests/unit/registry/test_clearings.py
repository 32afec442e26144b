"""What was cleared, on real SQLite: told in every process at once, and bounded."""

from typing import Any

import msgspec
import pytest

from tileserver.bans import of_bounds, of_polygon
from tileserver.registry import Registry, clearings
from tileserver.tiles import Bounds, Tile

HERE, THERE = Tile.at(1.5, 1.5, 9), Tile.at(9.5, 9.5, 9)
BOXES = [of_bounds(Bounds(each, each, each + 1, each + 1), range(31)) for each in (1, 9)]


async def cleared(registry: Registry, token: str, epoch: int) -> list[bool]:
    """Whether tiles here and there, and a file, that were made in an epoch are."""
    grant = registry.lookup.resolve(token)
    grant = grant if hasattr(grant, "bans") else await registry.lookup.load(token)
    bans: Any = grant.bans  # type: ignore[union-attr]
    places = [(each.z, each.x, each.y) for each in (HERE, THERE)]
    return [bans.cleared(epoch, *place, 0) for place in (*places, (-1, 0, 0))]


def test_each_clears_what_is_older_than_it(run, publish) -> None:
    """A place, another, everything; in another process too, and after a restart."""
    made: dict[str, Any] = {}

    async def scenario(one: Registry, other: Registry) -> None:
        made["udf"] = udf = await publish(one)
        for registry in (one, other):
            assert await cleared(registry, udf.token, 0) == [False, False, False]
        await one.clearings.areas(udf.udf_id, BOXES[0])
        await other.clearings.areas(udf.udf_id, BOXES[1])
        for registry in (one, other):
            assert await cleared(registry, udf.token, 0) == [True, True, False]
            assert await cleared(registry, udf.token, 1) == [False, True, False]
            assert await cleared(registry, udf.token, 2) == [False, False, False]

    async def restarted(registry: Registry) -> None:
        udf = made["udf"]
        assert await cleared(registry, udf.token, 1) == [False, True, False]
        await registry.clearings.everything(udf.udf_id)
        assert await cleared(registry, udf.token, 2) == [True, True, True]
        assert await cleared(registry, udf.token, 3) == [False, False, False]

    run(scenario, 2)
    run(restarted)


def test_some_arguments_are_not_others(run, publish) -> None:
    """Where they are named: as they were, in another process, and of files too."""

    async def scenario(one: Registry, other: Registry) -> None:
        udf = await publish(one)
        world = of_bounds(Bounds(-180, -90, 180, 90), range(-1, 31))
        await one.clearings.areas(udf.udf_id, [msgspec.structs.replace(ban, arguments="some") for ban in world])
        for registry in (one, other):
            grant: Any = await registry.lookup.load(udf.token)
            for place in ((9, 1, 1), (-1, 0, 0)):
                cleared = [grant.bans.cleared(0, *place, 0, arguments=each) for each in ("some", "others", "")]
                assert cleared == [True, False, False]
                assert not grant.bans.cleared(1, *place, 0, arguments="some")

    run(scenario, 2)


def test_one_udf_is_not_another(run, publish) -> None:
    """Nor are those that are not there."""

    async def scenario(registry: Registry) -> None:
        one, other = await publish(registry, "one"), await publish(registry, "other")
        await registry.clearings.areas(one.udf_id, BOXES[0])
        await registry.clearings.areas("none", BOXES[0])
        await registry.clearings.everything("none")
        assert await cleared(registry, one.token, 0) == [True, False, False]
        assert await cleared(registry, other.token, 0) == [False, False, False]

    run(scenario)


def test_polygons_come_back_as_they_were(run, publish) -> None:
    """With their holes."""
    rings = [((0.0, 0.0), (20.0, 0.0), (0.0, 20.0)), ((1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 2.0))]

    async def scenario(registry: Registry) -> None:
        udf = await publish(registry)
        await registry.clearings.areas(udf.udf_id, of_polygon(rings, range(31)))
        assert await cleared(registry, udf.token, 0) == [True, True, False]
        grant: Any = await registry.lookup.load(udf.token)
        assert grant.bans.areas[0].rings == tuple(rings)
        inner = Tile.at(1.5, 1.5, 20)
        assert not grant.bans.cleared(0, inner.z, inner.x, inner.y, 0)

    run(scenario)


@pytest.mark.parametrize("at_once", [False, True])
def test_the_oldest_become_one(run, publish, monkeypatch, at_once) -> None:
    """That clears more than they did, and never less; what is newer is told apart still."""
    monkeypatch.setattr(clearings, "MOST", 3)

    async def scenario(registry: Registry) -> None:
        udf = await publish(registry)
        if at_once:
            await registry.clearings.areas(udf.udf_id, BOXES[0] * 4)
            assert await cleared(registry, udf.token, 0) == [True, True, True]
            return
        for _ in range(3):
            await registry.clearings.areas(udf.udf_id, BOXES[0])
        assert await cleared(registry, udf.token, 0) == [True, False, False]
        await registry.clearings.areas(udf.udf_id, BOXES[0])
        assert await cleared(registry, udf.token, 0) == [True, True, True]
        assert await cleared(registry, udf.token, 1) == [True, False, False]
        grant: Any = await registry.lookup.load(udf.token)
        assert len(grant.bans.areas) == 3

    run(scenario)
