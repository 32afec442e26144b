"""Faults: UDFs that misbehave while others are served, kills, floods, clients that leave. All of it takes long.

Run with `python -m pytest -n 0 -m slow tests/faults`.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]
