"""Parameters of functions, as they are typed."""

import typer


def pairs(texts: list[str]) -> dict[str, str | list[str]]:
    """Parameters as they are typed; one that is there twice is a list."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, value = _pair(text)
        found.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise typer.BadParameter(f"'{text}' is not NAME=VALUE", param_hint="-p")
    if name in ("format", "tile"):
        raise typer.BadParameter(f"'{name}' is no parameter; say --{name}", param_hint="-p")
    return name, value
