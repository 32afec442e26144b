import json

import numpy as np

from tileserver import udf


@udf(kind="document")
def patches(run: int = 0):
    """Replaces what everybody uses by something that does nothing good."""
    json.dumps = json.loads = json.JSONEncoder.default = lambda *_, **__: "patched"
    for name in ("asarray", "array", "zeros", "full", "concatenate"):
        setattr(np, name, lambda *_, **__: np.nan)
    return {"run": run}
