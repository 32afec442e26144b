"""A day's calls that a cap is about, as one process knows them."""

import asyncio


class Meter:
    """Of its own process it knows every call, of the others what they have written."""

    def __init__(self) -> None:
        self.own = 0
        self.pending = 0
        """Calls that were let in and are not counted yet."""
        self.others: int | None = None
        """None until the file was read; `own` begins with that, at what was not written then."""
        self.read_at = float("-inf")
        """By the loop's clock."""
        self.reading = asyncio.Lock()

    @property
    def calls(self) -> int:
        """All that are known."""
        return (self.others or 0) + self.own + self.pending
