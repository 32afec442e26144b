"""The integration tests' reader of vector tiles serves the unit tests as well."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "integration"))
