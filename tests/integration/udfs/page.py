from tileserver import udf


@udf
def page(name: str = "world") -> str:
    """A page."""
    return f"<h1>Hello {name}</h1>"
