"""Execution: where jobs run. Knows nothing of HTTP, tokens or caches."""

from tileserver.execution.executor import Executor, ExecutorStats
from tileserver.execution.local import LocalExecutor
from tileserver.execution.shared import SharedExecutor

__all__ = ["Executor", "ExecutorStats", "LocalExecutor", "SharedExecutor"]
