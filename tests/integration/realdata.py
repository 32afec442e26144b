"""The folder of real files, and the mark for tests that are skipped where it is missing."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
DATA = Path(os.environ.get("TILESERVER_TEST_DATA") or ROOT.parent / "shared" / "data")

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no folder of test data; set TILESERVER_TEST_DATA")
