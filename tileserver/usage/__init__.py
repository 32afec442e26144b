"""What is asked of each account's functions, and what that takes: counted by day, UDF and token."""

from tileserver.usage.store import Day
from tileserver.usage.usage import Usage

__all__ = ["Day", "Usage"]
