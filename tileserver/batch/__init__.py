"""Batch jobs: a UDF run for many inputs in the background, kept in files until its account has fetched the results."""

from tileserver.batch.batches import Batches, Task
from tileserver.batch.store import BatchJob, Result, Store

__all__ = ["BatchJob", "Batches", "Result", "Store", "Task"]
