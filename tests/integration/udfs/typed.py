from datetime import datetime
from typing import Literal

from tileserver import udf


@udf
def typed(
    n: int,
    when: datetime,
    pair: tuple[int, str] = (1, "a"),
    many: list[int] = [1],
    mapping: dict = {},
    choice: Literal["a", "b"] = "a",
    maybe: float | None = None,
    flag: bool = False,
    text: str = "t",
) -> dict:
    """What arrived, as Python shows it."""
    values = {"n": n, "when": when, "pair": pair, "many": many, "mapping": mapping, "choice": choice}
    return {name: repr(value) for name, value in (values | {"maybe": maybe, "flag": flag, "text": text}).items()}
