"""What a test does without the client that it drives."""

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test, or fail where everything has to be there."""
    if os.environ.get("TILESERVER_TEST_CLIENTS") == "all":
        pytest.fail(what)
    pytest.skip(what)
