"""Execution: where jobs run. Knows nothing of HTTP, tokens or caches."""

from tileserver.execution.executor import Executor, ExecutorStats
from tileserver.execution.local import LocalExecutor

__all__ = ["Executor", "ExecutorStats", "LocalExecutor"]
