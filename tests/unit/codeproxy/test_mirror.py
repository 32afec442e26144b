"""The mirror: what real clones give, by branch, tag and commit."""

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest
from forge import GITHUB, PLAIN, Repository, git, load
from hypothesis import HealthCheck, given, settings
from test_address import URLS

from tileserver import codeproxy
from tileserver.codeproxy import CodeProxy
from tileserver.errors import (
    ForbiddenError,
    NotFoundError,
    PublicationError,
    SetupError,
    SourceUnavailableError,
    TileserverError,
)
from tileserver.processes import children


@pytest.mark.parametrize(
    ("ref", "returned"),
    [
        ("main", "main"),
        ("HEAD", "main"),
        ("refs/heads/main", "main"),
        ("v1", 1),
        ("refs/tags/v1", 1),
        ("feature/steep/er", "feature/steep/er"),
        ("refs/heads/feature/steep/er", "feature/steep/er"),
        ("v1/next", "v1/next"),
    ],
)
def test_branches_and_tags(repository: Repository, ref: str, returned: object) -> None:
    """With slashes, with their full names, and one that begins as another is called."""
    assert load(repository.mirror, f"{GITHUB}/blob/{ref}/layers/plain.py").code.endswith(f"return {returned!r}\n")


@pytest.mark.parametrize("length", [7, 40])
def test_commits(repository: Repository, length: int) -> None:
    """In full or short."""
    commit = git(repository.path, "rev-parse", "v1^{commit}")[:length]
    assert load(repository.mirror, f"{GITHUB}/blob/{commit}/layers/plain.py").code == PLAIN


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("blob/gone/layers/plain.py", "no branch, tag or commit 'gone'"),
        ("blob/deadbeef/layers/plain.py", "no branch, tag or commit 'deadbeef'"),
        ("tree/main/public/gone", "no 'gone.py' here"),
        ("tree/main/public", "no 'public.py' here"),
        ("tree/main", "no 'udfs.py' here"),
        ("blob/main/layers/gone.py", "no 'gone.py' here"),
        ("blob/main/layers/README.MD", "no 'README.MD.py' here"),
        ("blob/-/layers/plain.py", "no branch"),
        ("blob/main~1/layers/plain.py", "no branch"),
        ("blob/main^/layers/plain.py", "no branch"),
        ("blob/main@{0}/layers/plain.py", "no branch"),
        ("blob/@/layers/plain.py", "no branch"),
        ("blob/main:layers/plain.py", "no branch"),
        ("blob/:/layers/plain.py", "no branch"),
        ("blob/refs/heads/layers/plain.py", "no branch"),
        ("blob/--all/layers/plain.py", "no branch"),
        ("tree/main/:(glob)public/hills", "no 'hills.py' here"),
    ],
)
def test_what_is_not_there(repository: Repository, path: str, part: str) -> None:
    """Named; git's own ways to name things are names here like any other."""
    with pytest.raises(NotFoundError, match=re.escape(part)):
        load(repository.mirror, f"{GITHUB}/{path}")


@pytest.mark.parametrize("url", [GITHUB.replace("udfs", "other"), "https://code.example.org/owner/udfs"])
def test_what_is_not_mirrored_is_not_allowed(repository: Repository, url: str) -> None:
    """Another repository, another host of the same: the message names the settings, and not what there is instead."""
    with pytest.raises(ForbiddenError, match="TILESERVER_CODE_HOSTS allows it") as caught:
        load(repository.mirror, f"{url}/tree/main/public/hills")
    assert ("TILESERVER_CODE_MIRROR" in str(caught.value)) == url.startswith("https://github.com/")
    assert str(repository.mirror) not in str(caught.value)


def test_without_settings_nothing_is_allowed() -> None:
    """The default."""
    with pytest.raises(ForbiddenError, match=r"github\.com/owner/udfs; a clone of it in TILESERVER_CODE_MIRROR, or"):
        asyncio.run(CodeProxy().udf(f"{GITHUB}/tree/main/public/hills"))


@pytest.mark.parametrize("how", [("--bare",), ("--mirror",), ()])
def test_clones_of_every_sort(repository: Repository, tmp_path: Path, how: tuple[str, ...]) -> None:
    """Bare ones in NAME.git, and one whose branches are its origin's only."""
    place = tmp_path / "owner" / ("udfs.git" if how else "udfs")
    place.parent.mkdir()
    git(tmp_path, "clone", "-q", *how, str(repository.path), str(place))
    url = f"{GITHUB}/blob/feature/steep/er/layers/plain.py"
    assert "steep" in load(tmp_path, url).code


def test_what_was_fetched_goes_before_what_is_checked_out(tmp_path: Path) -> None:
    """A clone is brought up to date by `git fetch`."""
    origin = Repository.made(tmp_path / "origin")
    (tmp_path / "mirror" / "owner").mkdir(parents=True)
    clone = tmp_path / "mirror" / "owner" / "udfs"
    git(tmp_path, "clone", "-q", str(origin.path), str(clone))
    origin.commit({"layers/plain.py": PLAIN.replace("return 1", "return 'new'")})
    url = f"{GITHUB}/blob/main/layers/plain.py"
    assert "'main'" in load(tmp_path / "mirror", url).code
    git(clone, "fetch", "-q")
    assert "'new'" in load(tmp_path / "mirror", url).code


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("", True),
        ("/somewhere/local", True),
        ("https://github.com/owner/udfs", True),
        ("https://github.com/owner/udfs.git", True),
        ("git@github.com:owner/udfs.git", True),
        ("https://github.com/owner/other.git", False),
        ("git@github.com:other/udfs", False),
    ],
)
def test_one_clone(repository: Repository, tmp_path: Path, origin: str, allowed: bool) -> None:
    """It is the repository that its origin says; where that says nothing, any."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository.path), str(clone))
    git(clone, *(("config", "remote.origin.url", origin) if origin else ("config", "--unset", "remote.origin.url")))
    if allowed:
        assert load(clone, f"{GITHUB}/tree/main/public/hills").name == "Hills"
    else:
        with pytest.raises(ForbiddenError):
            load(clone, f"{GITHUB}/tree/main/public/hills")


def test_the_working_tree_is_not_read(tmp_path: Path) -> None:
    """What is not committed is nobody's business; nor does a hook or a filter run."""
    made = Repository.made(tmp_path / "owner" / "udfs")
    ran = tmp_path / "ran"
    (made.path / "layers" / "secret.py").write_text(PLAIN)
    (made.path / ".git" / "hooks" / "post-checkout").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (made.path / ".git" / "hooks" / "post-checkout").chmod(0o755)
    git(made.path, "config", "filter.f.smudge", f"touch {ran}")
    git(made.path, "config", "core.fsmonitor", f"touch {ran}")
    (made.path / ".git" / "info" / "attributes").write_text("* filter=f\n")
    assert load(tmp_path, f"{GITHUB}/tree/main/public/hills").name == "Hills"
    with pytest.raises(NotFoundError):
        load(tmp_path, f"{GITHUB}/blob/main/layers/secret.py")
    assert not ran.exists()


def test_links_lead_nowhere(tmp_path: Path) -> None:
    """A symbolic link in a repository is a text, and the file behind it stays where it is."""
    made = Repository.made(tmp_path / "owner" / "udfs")
    (tmp_path / "outside.py").write_text(PLAIN)
    (made.path / "link").symlink_to(tmp_path)
    (made.path / "layers" / "out.py").symlink_to(tmp_path / "outside.py")
    made.commit({})
    for path in ("link/outside.py", "layers/out.py"):
        with pytest.raises((NotFoundError, PublicationError)):
            load(tmp_path, f"{GITHUB}/blob/main/{path}")


def test_a_folder_inside_another_clone_is_none(repository: Repository, tmp_path: Path) -> None:
    """git looks for no repository in the folders above, whether there is nothing or an empty `.git`."""
    shutil.copytree(repository.path, tmp_path / "around")
    mirror = tmp_path / "around" / "mirror"
    (mirror / "owner" / "udfs").mkdir(parents=True)
    with pytest.raises(ForbiddenError):
        load(mirror, f"{GITHUB}/tree/main/public/hills")
    (mirror / "owner" / "udfs" / ".git").mkdir()
    with pytest.raises(SourceUnavailableError):
        load(mirror, f"{GITHUB}/tree/main/public/hills")


def test_a_worktree_of_a_clone(repository: Repository, tmp_path: Path) -> None:
    """Its `.git` is a file."""
    (tmp_path / "owner").mkdir()
    git(repository.path, "worktree", "add", "-q", "--detach", str(tmp_path / "owner" / "udfs"), "main")
    assert load(tmp_path, f"{GITHUB}/tree/main/public/hills").name == "Hills"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_clone_of_another_user(repository: Repository, tmp_path: Path) -> None:
    """The mirror is often another user's; the setting says that it is meant."""
    clone = tmp_path / "owner" / "udfs"
    shutil.copytree(repository.path, clone)
    for place in (clone, *clone.rglob("*")):
        os.chown(place, 12345, 12345)
    assert load(tmp_path, f"{GITHUB}/tree/main/public/hills").name == "Hills"


def test_a_broken_clone_is_said_to_be(repository: Repository, tmp_path: Path) -> None:
    """Objects that git cannot read, and a partial clone, which fetches nothing."""
    broken, partial = tmp_path / "owner" / "udfs", tmp_path / "owner" / "partial"
    shutil.copytree(repository.path, broken)
    for file in (broken / ".git" / "objects").rglob("*"):
        if file.is_file():
            file.chmod(0o600)
            file.write_bytes(b"broken")
    git(repository.path, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", f"file://{repository.path}", str(partial))
    for name in ("udfs", "partial"):
        with pytest.raises(SourceUnavailableError, match="clone in the code mirror cannot be read"):
            load(tmp_path, f"https://github.com/owner/{name}/tree/main/public/hills")


def test_a_mirror_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server does not start: no such folder, or no git."""
    with pytest.raises(SetupError, match="--code-mirror"):
        CodeProxy(tmp_path / "gone")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SetupError, match="git"):
        CodeProxy(tmp_path)


@pytest.mark.parametrize("program", ["exec sleep 60", "while :; do echo x; done"])
def test_a_git_that_does_not_end(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    """It is ended when the time is up."""
    (tmp_path / "git").write_text(f"#!/bin/sh\n{program}\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(codeproxy, "SECONDS", 0.3)
    before = children()
    with pytest.raises(SourceUnavailableError, match=r"took more than 0\.3 seconds"):
        load(repository.mirror, f"{GITHUB}/tree/main/public/hills")
    assert children() == before


def test_git_ends_with_the_request(repository: Repository) -> None:
    """Nothing is left running, also where somebody went away in between."""

    async def scenario() -> None:
        proxy = CodeProxy(repository.mirror)
        for seconds in (0.001, 0.003, 0.01, 5):
            task = asyncio.create_task(proxy.udf(f"{GITHUB}/tree/main/public/slopes"))
            await asyncio.wait([task], timeout=seconds)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert (await proxy.udf(f"{GITHUB}/tree/main/public/slopes")).name == "slopes"

    before = children()
    asyncio.run(scenario())
    assert children() == before


@given(url=URLS)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_addresses_have_one_sentence(repository: Repository, url: str) -> None:
    """Whatever comes, the answer is a UDF or an error of ours."""
    try:
        load(repository.mirror, url)
    except TileserverError as error:
        assert error.code in ("forbidden", "invalid_parameter", "not_found", "not_publishable")
        assert "\n" not in str(error)
