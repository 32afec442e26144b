"""What a source's text says of a UDF, and the binding of queries."""

import pytest

from tileserver.errors import InvalidParameterError, PublicationError
from tileserver.signature import parse
from tileserver.udfs import Udf, bind, digest, seconds, with_computed


def udf(
    signature: str = "tile", *, options: str = "", head: str = "from tileserver import udf", returns: str = ""
) -> Udf:
    return parse(f"{head}\n@udf({options})\ndef f({signature}){returns}:\n    'Shaded relief.'\n", file="relief.py")


def test_the_text_tells_name_options_signature_and_docstring() -> None:
    """Nothing is run; constants of the module count as literals."""
    found = parse(
        "from tileserver import udf\nDEEP = 9\n\n"
        '@udf(maxzoom=DEEP, cache_max_age="1d", rescale=(0, 9), bounds=(1, 2, 3, 4))\n'
        'async def draw(tile, n: int = DEEP, *, soft=True):\n    """Doc."""\n    raise SystemExit\n',
        file="some/place.py",
    )
    assert (found.name, found.entry, found.line, found.doc) == ("place", "draw", 5, "Doc.")
    assert (found.options.maxzoom, found.options.cache_max_age) == (9, 86400)
    assert found.options.rescale == ((0.0, 9.0),)
    assert [(each.name, each.default, each.annotation.name) for each in found.parameters] == [
        ("tile", None, "any"),
        ("n", 9, "int"),
        ("soft", True, "bool"),
    ]


@pytest.mark.parametrize(
    ("source", "line", "part"),
    [
        ("def (", 1, "not Python"),
        ("x = 1\n", 1, "no function"),
        ("from tileserver import udf\n@udf\ndef a(): ...\n@udf\ndef b(): ...\n", 5, "a, b"),
        ("@udf(colour=1)\ndef a(): ...\n", 1, "no option 'colour'"),
        ("@udf(minzoom=4, maxzoom=2)\ndef a(): ...\n", 2, "minzoom"),
        ("@udf(kind='picture')\ndef a(): ...\n", 2, "kind is one of"),
        ("@udf(cache_max_age='soon')\ndef a(): ...\n", 2, "an age"),
        ("@udf(name='a b')\ndef a(): ...\n", 2, "cannot be a UDF's name"),
        ("@udf\ndef a(format): ...\n", 2, "keeps for itself"),
        ("@udf\ndef a(_x): ...\n", 2, "keeps for itself"),
        ("\0", 1, "not Python"),
        ("@udf(cache_max_age=1e999)\ndef a(): ...\n", 1, "'cache_max_age' cannot be inf"),
        ("@udf(cache_max_age=10000000000000000000000)\ndef a(): ...\n", 1, "'cache_max_age' cannot be"),
        ("@udf(cache_max_age='" + "9" * 5000 + "')\ndef a(): ...\n", 2, "an age"),
        ("@udf(cache_max_age=[1])\ndef a(): ...\n", 2, "an option"),
        ("@udf(rescale=5)\ndef a(): ...\n", 2, "rescale"),
        ("@udf(rescale={'a': 1})\ndef a(): ...\n", 2, "rescale"),
        ("@udf(rescale=(5, 1))\ndef a(): ...\n", 2, "low below high"),
        ("@udf(timeout=0)\ndef a(): ...\n", 2, "timeout"),
        ("@udf(buffer=-1)\ndef a(): ...\n", 2, "buffer"),
        ("@udf(background='nonsense')\ndef a(): ...\n", 2, "nonsense"),
        ("@udf(resampling='nonsense')\ndef a(): ...\n", 2, "resampling is one of"),
        ("@udf(compression='best')\ndef a(): ...\n", 2, "compression is one of fast, smallest"),
        ("@udf(gamma=0)\ndef a(): ...\n", 2, "gamma is from 0.1 to 10"),
        ("@udf(bounds=(1e999, 0, 1, 1))\ndef a(): ...\n", 1, "'bounds' cannot be"),
        ("@udf(bounds=(5, 0, 5, 1))\ndef a(): ...\n", 2, "bounds"),
        ("@udf(attribution='\\ud800')\ndef a(): ...\n", 1, "'attribution' cannot be"),
        ("@udf" + "()" * 2000 + "\ndef a(): ...\n", 1, "nested too deep"),
        ("x = " + "-" * 100_000 + "1\n", 1, "not Python"),
        ("x = 1\n" * 200_000, 1, "keep its data in files"),
        ("@udf\ndef a(tile, /): ...\n", 2, "cannot be given by name"),
    ],
)
def test_what_cannot_be_published_says_file_line_and_why(source: str, line: int, part: str) -> None:
    """One line that names the place."""
    with pytest.raises(PublicationError) as caught:
        parse(source, file="bad.py")
    assert str(caught.value).startswith(f"bad.py:{line}: ")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("returns", "kind"),
    [
        (" -> np.ndarray", "raster"),
        (" -> 'gpd.GeoDataFrame | None'", "vector"),
        (" -> pd.DataFrame", "table"),
        (" -> str", "document"),
        ("", None),
    ],
)
def test_the_return_annotation_tells_the_kind(returns: str, kind: str | None) -> None:
    """By the last part of the type's name."""
    assert udf(returns=returns).kind == kind


def test_what_the_text_does_not_tell_is_marked_and_completed() -> None:
    """Computed options and defaults wait for a worker."""
    found = udf("tile, when=now()", options="maxzoom=2 ** 3")
    assert found.computed == ("maxzoom",)
    assert found.parameters[1].computed
    complete = with_computed(found, {"maxzoom": 8}, {"when": "today"}, file="relief.py")
    assert (complete.options.maxzoom, complete.parameters[1].default, complete.computed) == (8, "today", ())


def test_a_fused_udf_keeps_strings_and_warns_of_reserved_names() -> None:
    """In `@fused.udf` the hosted API's rules hold: no type from a default, and a warning instead of a refusal."""
    found = parse("@fused.udf\ndef a(bbox, n=1, format='x'): ...\n", file="a.py")
    assert found.fused
    assert bind(found, {"n": ["2"]}, tiled=True) == {"n": "2"}
    assert "format" in found.warnings[0]


def test_binding_takes_what_the_signature_has() -> None:
    """Defaults are filled in, unknown names dropped, injected ones left out on tiles and bound on files."""
    found = udf("tile, bounds, n: int = 3, m: float | None = None")
    query = {"n": ["4"], "other": ["1"], "tile": ["0/0/0"], "bounds": ["1,2,3,4"], "_x": ["1"]}
    assert bind(found, query, tiled=True) == {"m": None, "n": 4}
    assert bind(found, query, tiled=False) == {"bounds": [1, 2, 3, 4], "m": None, "n": 4, "tile": "0/0/0"}


def test_kwargs_take_everything_else() -> None:
    """`**kwargs` gets all names that are neither reserved nor injected."""
    assert bind(udf("tile, **rest"), {"a": ["1", "2"], "z": ["3"], "format": ["png"]}, tiled=True) == {"a": "2"}


@pytest.mark.parametrize(
    ("signature", "query", "name"), [("n: int", {"n": ["x"]}, "n"), ("n: int", {}, "n"), ("tile", {}, "tile")]
)
def test_a_parameter_that_cannot_be_is_named(signature: str, query: dict[str, list[str]], name: str) -> None:
    """Missing or not convertible: the error names the parameter."""
    with pytest.raises(InvalidParameterError, match=f"'{name}'") as caught:
        bind(udf(signature), query, tiled=False)
    assert caught.value.parameter == name


def test_the_digest_tells_every_text_apart() -> None:
    """Source, names and texts of siblings all count, and do not run into each other."""
    variants = [("a", {}), ("a", {"b": "c"}), ("a", {"bc": ""}), ("ab", {"c": ""}), ("b", {"a": "c"})]
    assert len({digest(code, headers) for code, headers in variants}) == len(variants)


@pytest.mark.parametrize(
    ("age", "value"), [(5, 5), ("5", 5), ("5s", 5), ("2m", 120), ("12h", 43200), ("90d", 7776000), (0, 0)]
)
def test_ages(age: int | str, value: int) -> None:
    """Numbers are seconds; s, m, h and d are units."""
    assert seconds(age) == value


def test_ages_of_options() -> None:
    """As text or in seconds."""
    found = udf(options="cache_max_age='1h', stale_if_error='7d', stale_while_revalidate=60").options
    assert (found.cache_max_age, found.stale_if_error, found.stale_while_revalidate) == (3600, 7 * 86400, 60)


def test_blocks_are_options() -> None:
    """Of a zoom there is, and of a size that a computer can hold."""
    found = udf(options="block_size=512, block_zoom=8").options
    assert (found.block_zoom, found.block_size) == (8, 512)
    assert udf().options.block_zoom is None
    for wrong in ("block_zoom=31", "block_zoom=-1", "block_size=255", "block_size=16385"):
        with pytest.raises(PublicationError, match="block_"):
            udf(options=wrong)


@pytest.mark.parametrize(
    "default", ["1e999", "-1e999", "2**70", "123456789012345678901234567890", r"'\ud800'", "[1, 1e999]"]
)
def test_a_default_that_no_message_carries_stays_with_the_function(default: str) -> None:
    """It is not replaced by something near to it: the argument is left out, so that Python fills it in."""
    found = udf(f"n={default}")
    assert found.parameters[0].computed
    assert bind(found, {}, tiled=True) == {}


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        ("a: float = 1", "1"),
        ("a: float | None = -2", "-2.0"),
        ("a: bool = 1", "true"),
        ("a: list[float] = [1, 2.5]", "1,2.5"),
        ("a: tuple[int, float] = (1, 2)", "1,2"),
        ("a: dict[str, float] = {'a': 2}", '{"a":2}'),
        ("a: datetime = '2024-01-01'", "2024-01-01"),
        ("bounds=(0, 0, 1, 1)", "0,0,1,1"),
    ],
)
def test_a_default_is_the_same_as_given(parameter: str, text: str) -> None:
    """So a layer has one key, and the function the same value."""
    found = udf(parameter)
    given = bind(found, {found.parameters[0].name: [text]}, tiled=False)
    assert repr(bind(found, {}, tiled=False)) == repr(given)


@pytest.mark.parametrize(
    ("parameter", "text"),
    [("a: float = 1", "1"), ("a: list[float] = [1, 2]", "[1, 2]"), ("a: dict[str, float] = {'b': 1}", '{"b": 1}')],
)
def test_a_default_of_fused_is_the_same_as_given(parameter: str, text: str) -> None:
    """By its own rules, which leave elements as they are."""
    found = udf(parameter, head="from fused import udf")
    assert repr(bind(found, {}, tiled=False)) == repr(bind(found, {"a": [text]}, tiled=False))


def test_a_computed_default_is_the_same_as_given() -> None:
    """As one that the text tells."""
    found = with_computed(udf("a: float = 2 * ONE"), {}, {"a": 2}, file="relief.py")
    assert repr(bind(found, {}, tiled=True)) == repr(bind(found, {"a": ["2"]}, tiled=True)) == "{'a': 2.0}"
    text = "import fused\n@fused.udf(default_parameters={'a': 2})\ndef f(a: float): ...\n"
    assert repr(bind(parse(text, file="f.py"), {}, tiled=True)) == "{'a': 2.0}"


@pytest.mark.parametrize(
    ("parameter", "default"),
    [
        ("a: float = None", None),
        ("a: float = True", True),
        ("a: float = '1'", "1"),
        ("a: float = 9007199254740993", 9007199254740993),
        ("a: int = 1.0", 1.0),
        ("a: int = 0.5", 0.5),
        ("a: str = 1", 1),
        ("a: str = None", None),
        ("a: list = [1]", [1]),
        ("a: list[float] = [1, None]", [1.0, None]),
        ("a: Literal['x'] = 'y'", "y"),
        ("a: UUID = 5", 5),
        ("a=1", 1),
    ],
)
def test_a_default_that_does_not_fit_stays(parameter: str, default: object) -> None:
    """Nothing of it is lost."""
    assert repr(bind(udf(parameter), {}, tiled=True)["a"]) == repr(default)


def test_a_docstring_is_text() -> None:
    """Lone surrogates, which JSON cannot carry, are replaced."""
    found = parse('@udf\ndef f():\n    "a\\ud800b"\n', file="f.py")
    assert found.doc == "a?b"


def test_a_colour_map_of_numbers() -> None:
    """Keys may be what they stand for."""
    found = udf(options="colormap={0: '#000000', 1: '#ffffff'}")
    assert found.options.colormap == '{"0":"#000000","1":"#ffffff"}'


def test_a_colour_map_of_stops_or_of_a_file() -> None:
    """Lists stay lists, and colours may be numbers, as tables of files have them."""
    assert udf(options="colormap=[(0, 'red'), (9, 'blue')]").options.colormap == '[[0,"red"],[9,"blue"]]'
    assert udf(options="colormap={1: (1, 2, 3, 255)}").options.colormap == '{"1":[1,2,3,255]}'


TWO = "import fused\n@fused.udf\ndef a(n: int): ...\n@fused.udf\ndef b(m: str): ...\ndef c(k: float): ...\n"


def test_a_name_says_which_function_is_the_udf() -> None:
    """Also one that is not decorated; each is another version. What was clear without a name stays the same."""
    found = [parse(TWO, file="two.py", entry=name) for name in "abc"]
    assert [(each.entry, each.parameters[0].name, each.fused) for each in found] == [
        ("a", "n", True),
        ("b", "m", True),
        ("c", "k", True),
    ]
    assert len({each.digest for each in found}) == 3
    sole = "import fused\ndef helps(): ...\n@fused.udf\ndef a(): ...\n"
    assert parse(sole, file="a.py", entry="a").digest == parse(sole, file="a.py").digest == digest(sole, {})
    assert parse(sole, file="a.py", entry="helps").digest != digest(sole, {})


def test_a_name_that_no_function_has() -> None:
    """The message says it, also where another function is decorated."""
    for name in ("d", "a.b", ""):
        with pytest.raises(PublicationError, match=f"no function '{name}'" if name else "has a, b"):
            parse(TWO, file="two.py", entry=name)
