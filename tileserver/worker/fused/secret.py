"""`fused.secrets`: what the account keeps for its functions, to be read by name."""

from collections.abc import Iterator, Mapping
from typing import NoReturn


class Secrets(Mapping[str, str]):
    """`fused.secrets["name"]`, `fused.secrets.name`; nothing of it is in its `repr`."""

    def __init__(self) -> None:
        self.__dict__["_values"] = {}

    def __getitem__(self, name: str) -> str:
        try:
            return str(self.__dict__["_values"][name])
        except KeyError:
            raise KeyError(f"the account has no secret {name!r}") from None

    def __getattr__(self, name: str) -> str:
        if name in self.__dict__["_values"]:
            return self[name]
        raise AttributeError(f"the account has no secret {name!r}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise TypeError("secrets are set through the server's API, not in functions")

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__["_values"])

    def __len__(self) -> int:
        return len(self.__dict__["_values"])

    def __repr__(self) -> str:
        return f"<{len(self)} secrets>"


secrets = Secrets()
"""Those of the account whose function this process runs."""


def provide(values: Mapping[str, str]) -> None:
    """Have these; called by the worker before the function's code."""
    secrets.__dict__["_values"] = dict(values)
