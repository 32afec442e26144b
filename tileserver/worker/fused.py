"""The module that `@fused.udf` sources know as `fused`: the decorator, and the types of its annotations."""

import types as _types
from typing import Any

from tileserver.authoring import udf as udf

types = _types.SimpleNamespace(
    **dict.fromkeys(("Tile", "TileXYZ", "TileGDF", "ViewportGDF", "Bounds", "Bbox"), Any),
)
