"""Tests here import `pools` and `peers`, which stand beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from peers import start as start
