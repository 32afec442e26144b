import fused


@fused.udf
def pages(name: str = "world") -> str:
    """A page."""
    return f"<h1>Hello {name}</h1>"
