"""Code over HTTPS from a real server on loopback: the list, certificates, redirections, limits."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forge import FILES, GITHUB, HILLS, PLAIN, SLOPES, Forge, Repository

from tileserver import codeproxy
from tileserver.codeproxy import Code, CodeProxy
from tileserver.codeproxy.folder import FILE_LIMIT
from tileserver.errors import ForbiddenError, InvalidParameterError, NotFoundError, SourceUnavailableError

RAW = "raw.githubusercontent.com/owner/udfs"
FILE = f"{RAW}/main/layers/plain.py"


def proxy(forge: Forge, *hosts: str, mirror: Path | None = None) -> CodeProxy:
    """One that may read from the hosts, all of which are the forge."""
    return CodeProxy(mirror, hosts or ("github.com",), forge.network)


def load(forge: Forge, url: str, *hosts: str) -> Code:
    return asyncio.run(proxy(forge, *hosts).udf(url))


def test_a_folder_with_meta_json(forge: Forge) -> None:
    """Three requests: what it names."""
    forge.keep(f"{RAW}/main", FILES)
    assert load(forge, f"{GITHUB}/tree/main/public/hills").headers.keys() == {"utils"}
    base = f"{RAW}/main/public/hills"
    assert forge.asked == [f"{base}/meta.json", f"{base}/Hills.py", f"{base}/utils.py"]


def test_a_folder_that_is_told_by_its_name(forge: Forge) -> None:
    """Modules beside it are found by asking for them; the host knows where a branch's name ends."""
    forge.keep(f"{RAW}/feature/steep/er", FILES)
    code = load(forge, f"{GITHUB}/tree/feature/steep/er/public/slopes")
    assert (code.code, sorted(code.headers)) == (SLOPES, ["deeper", "slopes", "tools"])


def test_a_file_whose_name_needs_quoting(forge: Forge) -> None:
    """It is asked for as it was spelled."""
    forge.files[f"{RAW}/main/My%20layers/%C3%A7a%20va.py"] = PLAIN.replace("@udf", "@udf(name='fine')").encode()
    assert load(forge, f"https://{RAW}/main/My%20layers/%C3%A7a%20va.py").name == "fine"


def test_another_host(forge: Forge) -> None:
    """Spelled as GitHub's; it gives files as they are below /raw/."""
    forge.keep("code.example.org/owner/udfs/raw/main", FILES)
    url = "https://code.example.org/owner/udfs/blob/main/public/hills/Hills.py"
    assert load(forge, url, "code.example.org").code == HILLS


@pytest.mark.parametrize("url", [f"{GITHUB}/tree/main/x", f"https://{RAW}/main/x.py"])
def test_a_host_that_is_not_on_the_list(forge: Forge, url: str) -> None:
    """It is not asked; the message names the setting and the host."""
    with pytest.raises(ForbiddenError, match=r"'github\.com' in TILESERVER_CODE_HOSTS"):
        load(forge, url, "code.example.org")
    assert forge.asked == []


def test_a_mirror_goes_first(forge: Forge, repository: Repository) -> None:
    """What it has is not asked for elsewhere; what it lacks is."""
    forge.keep(f"{RAW.replace('udfs', 'other')}/main", FILES)
    both = proxy(forge, mirror=repository.mirror)
    assert asyncio.run(both.udf(f"{GITHUB}/tree/main/public/hills")).name == "Hills"
    assert forge.asked == []
    assert asyncio.run(both.udf("https://github.com/owner/other/tree/main/public/hills")).name == "Hills"
    assert len(forge.asked) == 3


def test_what_is_not_there(forge: Forge) -> None:
    """As in a mirror."""
    with pytest.raises(NotFoundError, match=r"no 'x\.py' here"):
        load(forge, f"{GITHUB}/tree/main/x")


def test_a_certificate_of_nobodys(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without trust in its authority the server is not asked."""
    monkeypatch.delenv("SSL_CERT_FILE")
    forge.keep(f"{RAW}/main", FILES)
    with pytest.raises(SourceUnavailableError, match=r"cannot be reached: .*certificate"):
        load(forge, f"{GITHUB}/tree/main/public/hills")
    assert forge.asked == []


def test_a_certificate_of_another_name(forge: Forge) -> None:
    """A host is who its certificate says."""
    with pytest.raises(SourceUnavailableError, match="certificate"):
        load(forge, "https://unnamed.example.org/owner/udfs/blob/main/x.py", "unnamed.example.org")
    assert forge.asked == []


def moved(location: str, status: int = 302) -> tuple[int, dict[str, str], bytes]:
    return status, {"Location": location}, b"moved"


@pytest.mark.parametrize("location", ["/owner/udfs/v2/plain.py", f"https://{RAW}/v2/plain.py", "../../v2/plain.py"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirections_within_the_list(forge: Forge, location: str, status: int) -> None:
    """Followed, whole or relative."""
    forge.files |= {FILE: moved(location, status), f"{RAW.split('/')[0]}/owner/udfs/v2/plain.py": PLAIN.encode()}
    forge.files[f"{RAW}/main/v2/plain.py"] = PLAIN.encode()
    assert load(forge, f"{GITHUB}/blob/main/layers/plain.py").code == PLAIN


@pytest.mark.parametrize(
    "location",
    [
        "https://elsewhere.example.org/x.py",
        "//elsewhere.example.org/x.py",
        "http://raw.githubusercontent.com/x.py",
        "https://raw.githubusercontent.com:8443/x.py",
        "https://raw.githubusercontent.com@elsewhere.example.org/x.py",
        "https://user@raw.githubusercontent.com/x.py",
        "https://127.0.0.1/x.py",
        "https://[::1/x.py",
        "file:///etc/passwd",
        "data:text/plain,x",
    ],
)
def test_redirections_out_of_the_list(forge: Forge, location: str) -> None:
    """Not followed; the message does not repeat where."""
    forge.files |= {FILE: moved(location), "elsewhere.example.org/x.py": PLAIN.encode()}
    with pytest.raises(ForbiddenError, match="leads away from the hosts in TILESERVER_CODE_HOSTS") as caught:
        load(forge, f"{GITHUB}/blob/main/layers/plain.py")
    assert forge.asked[-1] == FILE
    assert "elsewhere" not in str(caught.value)


def test_redirections_in_a_circle(forge: Forge) -> None:
    """They end after three."""
    forge.files[FILE] = moved(f"https://{FILE}")
    with pytest.raises(SourceUnavailableError, match="redirects again and again"):
        load(forge, f"{GITHUB}/blob/main/layers/plain.py")
    assert forge.asked.count(FILE) == 4


@pytest.mark.parametrize("answer", [b"#" * (FILE_LIMIT + 1), b"x" * (5 * FILE_LIMIT)])
def test_a_file_that_is_too_large(forge: Forge, answer: bytes) -> None:
    """It is read up to the limit only."""
    forge.files[FILE] = answer
    with pytest.raises(InvalidParameterError, match="more than 500 kB"):
        load(forge, f"{GITHUB}/blob/main/layers/plain.py")


def endless(handler: Any) -> None:
    """A body of unknown length that does not end."""
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b"#" * 65536)
    handler.close_connection = True


def test_a_body_without_end(forge: Forge) -> None:
    """The same, although nobody said how long it is."""
    forge.files[FILE] = endless
    with pytest.raises(InvalidParameterError, match="more than 500 kB"):
        load(forge, f"{GITHUB}/blob/main/layers/plain.py")


def test_a_file_of_just_the_limit(forge: Forge) -> None:
    """It is served."""
    forge.files[FILE] = PLAIN.encode().ljust(FILE_LIMIT, b"#")
    assert len(load(forge, f"{GITHUB}/blob/main/layers/plain.py").code) == FILE_LIMIT


def test_too_many_files(forge: Forge) -> None:
    """Fifty are served, and no more are kept in memory."""
    modules = {f"m{number}.py": "" for number in range(60)}
    forge.keep(f"{RAW}/main/x", modules | {"x.py": "".join(f"import m{n}\n" for n in range(60)) + PLAIN})
    with pytest.raises(InvalidParameterError, match="more than 50 files"):
        load(forge, f"{GITHUB}/tree/main/x")


def trickling(gone: threading.Event) -> Callable[[Any], None]:
    """A body that comes byte by byte until its reader goes, which is then said."""

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b"#")
                time.sleep(0.01)
        gone.set()
        handler.close_connection = True

    return answer


def test_a_host_that_is_too_slow(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is for all of it, not for each byte; the connection is closed."""
    gone = threading.Event()
    forge.files[FILE] = trickling(gone)
    monkeypatch.setattr(codeproxy, "SECONDS", 0.5)
    with pytest.raises(SourceUnavailableError, match=r"took more than 0\.5 seconds"):
        load(forge, f"{GITHUB}/blob/main/layers/plain.py")
    assert gone.wait(10)


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_a_host_that_does_not_want_to(forge: Forge, status: int) -> None:
    """Its status is said; nobody mistakes it for an absent file."""
    forge.files[FILE] = (status, {}, b"no")
    with pytest.raises(SourceUnavailableError, match=f"'raw.githubusercontent.com' answers {status}"):
        load(forge, f"{GITHUB}/blob/main/layers/plain.py")


def test_a_host_that_is_away(forge: Forge) -> None:
    """Nothing listens."""
    away = Forge(1, forge.authority)
    with pytest.raises(SourceUnavailableError, match=r"'raw\.githubusercontent\.com' cannot be reached"):
        load(away, f"{GITHUB}/blob/main/layers/plain.py")


def test_one_flight_and_a_memory(forge: Forge) -> None:
    """Ten who ask at once are answered by one look, and who comes later by none."""
    forge.keep(f"{RAW}/main", FILES)

    async def scenario() -> list[Code]:
        one = proxy(forge)
        codes = await asyncio.gather(*(one.udf(f"{GITHUB}/tree/main/public/hills") for _ in range(10)))
        return [*codes, await one.udf(f"{GITHUB}/tree/main/public/hills/#readme")]

    codes = asyncio.run(scenario())
    assert all(code is codes[0] for code in codes)
    assert len(forge.asked) == 3


def test_a_failure_is_not_remembered(forge: Forge) -> None:
    """The next one asks again."""

    async def scenario() -> Code:
        one = proxy(forge)
        with pytest.raises(NotFoundError):
            await one.udf(f"{GITHUB}/blob/main/layers/plain.py")
        forge.keep(f"{RAW}/main", FILES)
        return await one.udf(f"{GITHUB}/blob/main/layers/plain.py")

    assert asyncio.run(scenario()).name == "plain"


def test_a_branch_is_remembered_for_a_minute_and_a_commit_for_a_day() -> None:
    """A commit does not change."""
    expiries = [
        codeproxy._expiry(codeproxy.parse(f"{GITHUB}/tree/{ref}/x"), Code("x", "", "x", {}, ""), 5.0)
        for ref in ("main", "a" * 40)
    ]
    assert expiries == [65.0, 86405.0]


def test_who_goes_away_leaves_the_others(forge: Forge) -> None:
    """One of two waiters is cancelled; the other has the UDF."""
    forge.keep(f"{RAW}/main", FILES)

    async def scenario() -> Code:
        one = proxy(forge)
        first, second = (asyncio.create_task(one.udf(f"{GITHUB}/tree/main/public/hills")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return await second

    assert asyncio.run(scenario()).name == "Hills"
