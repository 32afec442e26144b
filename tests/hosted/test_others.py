"""Two accounts of one server: what the SDK of one of them sees of the other's."""

from expected import hello
from server import Running
from session import Sdk
from test_shared_runs import data
from versions import only


def test_each_is_itself(sdk: Sdk, other: Sdk) -> None:
    """By the private token in its home folder."""
    emails = [each.get("api._whoami()['email']") for each in (sdk, other)]
    assert emails == ["owner@localhost", "b@c"]


def test_functions_of_others_are_not_there(other: Sdk) -> None:
    """In the words for what nobody has, whether they are loaded or shared."""
    for call in ("fused.core.load_udf_from_fused", "api.create_udf_access_token"):
        errors = [other.raised(f"{call}('owner@localhost', name)", name=name) for name in ("hello", "nothing")]
        assert errors[0].text == errors[1].text
        assert "UDF not found" in errors[0].text


def test_they_are_not_listed(other: Sdk) -> None:
    """Neither as one's own nor as the team's."""
    for whose in ("self", "team"):
        assert "hello" not in str(other.get("list(api.get_udfs(n=100, whose=whose))", whose=whose))


@only("1.14.2", "1.8.0")
def test_they_do_not_run(other: Sdk) -> None:
    """By address and name."""
    error = other.raised("fused.core.run_file('owner@localhost', 'hello')")
    assert "HTTPError" in error.bases
    assert error.text == "UDF not found"


def test_tokens_of_others_open_their_function(other: Sdk, server: Running) -> None:
    """That is what they are for."""
    call = f"fused.core.run_shared_file(token=token, n=5){data(other)}"
    assert other.get(call, token=server.token("hello")) == hello(5)


def test_tokens_of_others_are_not_ones_own(other: Sdk, server: Running) -> None:
    """They are neither read, nor changed, nor deleted."""
    for call in (
        "get_udf_access_token(token)",
        "update_udf_access_token(token, enabled=False)",
        "delete_udf_access_token(token)",
    ):
        assert "Token not found" in other.raised(f"api.{call}", token=server.token("hello")).text
    tokens = other.get("api.get_udf_access_tokens()")
    assert server.token("hello") not in [each["token"] for each in tokens]
    assert all(each["udf_email"] == "b@c" for each in tokens)


@only("1.14.2", "2.9.5")
def test_the_source_behind_a_token_is_not_shared(other: Sdk, server: Running) -> None:
    """It runs, and nobody reads it."""
    assert other.raised("fused.load(token)", token=server.token("hello"))


@only("1.14.2", "2.9.5")
def test_what_fails_says_no_more_than_that(other: Sdk, server: Running) -> None:
    """An account of this server that is not the function's own is a stranger to it."""
    error = other.raised("fused.run(token, n=8)", token=server.token("fails"))
    everything = error.text + other.printed + other.warned
    assert error.text
    assert not [word for word in ("river", "measured", "ValueError") if word in everything]
