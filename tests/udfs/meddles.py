import io
import os
import sys
import warnings

from tileserver import udf


@udf(kind="document")
def meddles(run: int = 0):
    """Says what it finds around it; then changes environment, streams, paths, hooks and limits for whoever is next."""
    seen = {
        "environment": sorted(os.environ),
        "stdout": [type(sys.stdout).__name__, sys.stdout.fileno()],
        "path": sys.path[:],
        "hook": str(sys.excepthook),
        "depth": sys.getrecursionlimit(),
        "filters": len(warnings.filters),
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
    }
    os.environ["MEDDLED"] = "yes"
    os.environ.pop("PATH", None)
    sys.stdout = sys.stderr = io.StringIO()
    sys.path.clear()
    sys.excepthook = None
    sys.setrecursionlimit(99)
    warnings.simplefilter("error")
    return seen
