"""The parser of tile and file addresses, against a slow and strict one."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileserver.web.tiles import Address, parse

TOKEN = "fsh_" + "aB3-_" * 8 + "xyz"
PLAIN = "0123456789"


def reference(path: str) -> Address | None:
    """The same by splitting: every part is looked at by itself."""
    path = path.replace("%40", "@")
    hosted = path.startswith("/server/v1/realtime-shared/")
    if hosted:
        rest, early = path.removeprefix("/server/v1/realtime-shared/").split("/"), ""
        if "." in rest[0]:
            rest[0], _, early = rest[0].partition(".")
            if not is_extension(early):
                return None
        if rest[1:] in (["run"], ["run", "file"]):
            return Address(rest[0], -1, 0, 0, 1, early, True) if is_token(rest[0]) else None
        if rest[1:3] != ["run", "tiles"] or len(rest) != 6:
            return None
        return tile(rest[0], rest[3:], early, True)
    parts = path.split("/")
    if parts[:2] == ["", "files"] and len(parts) == 3:
        name, dot, extension = parts[2].partition(".")
        fine = is_token(name) and (is_extension(extension) if dot else True)
        return Address(name, -1, 0, 0, 1, extension, False) if fine else None
    if parts[:2] != ["", "tiles"] or len(parts) != 6:
        return None
    return tile(parts[2], parts[3:], "", False)


def tile(token: str, address: list[str], early: str, hosted: bool) -> Address | None:
    z, x, last = address
    last, dot, extension = last.partition(".")
    y, at, scale = last.partition("@")
    if not (is_token(token) and all(is_number(each) for each in (z, x, y))):
        return None
    if (dot and not is_extension(extension)) or (at and scale not in ("2x", "3x", "4x")):
        return None
    if int(z) > 30 or int(x) >= 2 ** int(z) or int(y) >= 2 ** int(z):
        return None
    return Address(token, int(z), int(x), int(y), int(scale[0]) if at else 1, extension or early, hosted)


def is_token(text: str) -> bool:
    return 1 <= len(text) <= 128 and all(sign.isascii() and (sign.isalnum() or sign in "_-") for sign in text)


def is_extension(text: str) -> bool:
    return 2 <= len(text) <= 8 and all("a" <= sign <= "z" for sign in text)


def is_number(text: str) -> bool:
    plain = text != "" and all(sign in PLAIN for sign in text) and len(text) <= 10
    return plain and (text == "0" or text[0] != "0")


numbers = st.integers(0, 2**31).map(str) | st.sampled_from(["", "-1", "+1", "01", "1e3", "1.0", "٣", "9" * 50, "%31"])
zooms = st.integers(0, 32).map(str) | numbers
suffixes = st.sampled_from(
    ["", ".png", "@2x", "@2x.png", "@5x", "@x", ".", ".P", ".toolongext", "%402x.mvt", "%00", "/"]
)
fronts = st.sampled_from(
    [
        f"/tiles/{TOKEN}",
        "/tiles/",
        f"/server/v1/realtime-shared/{TOKEN}/run/tiles",
        f"/server/v1/realtime-shared/{TOKEN}.png/run/tiles",
    ]
)


@given(fronts, zooms, numbers, numbers, suffixes)
def test_tile_addresses_are_read_as_the_slow_way_reads_them(front: str, z: str, x: str, y: str, suffix: str) -> None:
    """Plain digits, inside the pyramid, nothing behind."""
    path = f"{front}/{z}/{x}/{y}{suffix}"
    assert parse(path.encode()) == reference(path)


@given(st.integers(0, 30).flatmap(lambda z: st.tuples(st.just(z), *[st.integers(0, 2**z - 1)] * 2)))
def test_every_tile_of_the_pyramid_has_an_address(tile: tuple[int, int, int]) -> None:
    """None is refused, and none is another."""
    found = parse(f"/tiles/{TOKEN}/{'/'.join(map(str, tile))}.png".encode())
    assert found is not None
    assert (found.z, found.x, found.y) == tile


def test_a_hundred_thousand_damaged_addresses() -> None:
    """Each is read as the slow way reads it: as another good one, or not at all."""
    chance = random.Random(1)
    good = [
        f"/tiles/{TOKEN}/14/8529/5975@2x.png",
        f"/server/v1/realtime-shared/{TOKEN}.png/run/tiles/3/1/2",
        f"/files/{TOKEN}.csv",
        f"/server/v1/realtime-shared/{TOKEN}/run/file",
    ]
    signs = "/.@%x0129-+eé٣\0 \n~'\"<"
    for _ in range(100_000):
        letters = list(chance.choice(good))
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(letters))
            letters[place : place + chance.randint(0, 2)] = chance.choice(signs) * chance.randint(0, 2)
            letters = letters or ["/"]
        path = "".join(letters)
        assert parse(path.encode()) == reference(path) or not path.startswith(
            ("/tiles/", "/files/", "/server/v1/realtime-shared/")
        ), path


@pytest.mark.parametrize(
    "path", ["/tiles/" + "a" * 60_000, f"/tiles/{TOKEN}/" + "1" * 60_000 + "/1/1", "/files/" + "." * 60_000]
)
def test_long_addresses_cost_nothing(path: str) -> None:
    """No part is read further than it may be long."""
    assert parse(path.encode()) is None


COLLECTION = "fc_" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("rest", "found"),
    [
        ("hills/run", Address(f"{COLLECTION}/hills", -1, 0, 0, 1, "", True)),
        ("hills/run/file", Address(f"{COLLECTION}/hills", -1, 0, 0, 1, "", True)),
        ("hills.csv/run", Address(f"{COLLECTION}/hills", -1, 0, 0, 1, "csv", True)),
        ("hills.v2/run", Address(f"{COLLECTION}/hills.v2", -1, 0, 0, 1, "", True)),
        ("hills/run/tiles/3/1/2", Address(f"{COLLECTION}/hills", 3, 1, 2, 1, "", True)),
        ("hills/run/tiles/3/1/2@2x.png", Address(f"{COLLECTION}/hills", 3, 1, 2, 2, "png", True)),
        ("hills/run/tiles/3/9/2", None),
        ("hills/run/tiles/3/1/2/4", None),
        ("hills/run/tiles/3/1", None),
        ("hills/run/", None),
        ("hills/run/other", None),
        ("hills", None),
        ("/run", None),
        ("a/b/run", None),
        ("hi%20lls/run", None),
        ("x" * 129 + "/run", None),
    ],
)
def test_udfs_of_a_collection(rest: str, found: Address | None) -> None:
    """By their names behind its token; behind one of a single UDF there are none."""
    assert parse(f"/server/v1/realtime-shared/{COLLECTION}/{rest}".encode()) == found
    assert parse(f"/server/v1/realtime-shared/{TOKEN}/{rest}".encode()) is None
