"""UDFs on GitHub (hosted API, section 2.2), which every SDK loads through the server: here from a mirror of clones."""

from session import Sdk
from versions import only

URL = "https://github.com/owner/udfs/tree/main/public/gauge"


def test_loaded_by_address(sdk: Sdk) -> None:
    """The source, and the modules beside it."""
    sdk.get("udf = fused.load(url)", url=URL)
    assert sdk.get("[udf.name, udf.entrypoint]") == ["gauge", "gauge"]
    told = sdk.get("[(each.module_name, each.source_code) for each in udf.headers]")
    assert [each["items"] for each in told] == [["utils", "def tenfold(n):\n    return n * 10\n"]]


@only("1.14.2")
def test_nobody_needs_credentials(stranger: Sdk) -> None:
    """What is public on GitHub is so here."""
    assert stranger.get("fused.load(url).name", url=URL) == "gauge"


@only("1.14.2", "2.9.5")
def test_what_is_beside_it_is_called_here(sdk: Sdk) -> None:
    """`.utils` is the module, on this side too."""
    assert sdk.get("fused.load(url).utils.tenfold(4)", url=URL) == 40


def test_it_runs_here(sdk: Sdk) -> None:
    """As any object does whose source travels with the request."""
    engine = "realtime" if sdk.version == "1.8.0" else "remote"
    assert sdk.get(f"int(fused.run(fused.load(url), engine='{engine}', n=4).level[0])", url=URL) == 40


def test_an_address_that_has_none(sdk: Sdk) -> None:
    """In words."""
    error = sdk.raised("fused.load(url)", url=URL.replace("gauge", "gone"))
    assert "HTTPError" in error.bases
    assert "gone" in error.text


def test_an_address_that_is_not_mirrored(sdk: Sdk) -> None:
    """It is said that the server may not go there."""
    error = sdk.raised("fused.load(url)", url=URL.replace("owner/udfs", "owner/other"))
    assert "HTTPError" in error.bases
