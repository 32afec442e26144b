"""The log of runs: what each run of a UDF was asked, printed, raised and cost. Knows nothing of HTTP or workers."""

from tileserver.runlog.log import RunLog
from tileserver.runlog.run import Run
from tileserver.runlog.store import KEPT

__all__ = ["KEPT", "Run", "RunLog"]
