"""The integration tests' folder of real files serves the unit tests as well."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "integration"))
