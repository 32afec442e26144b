from tileserver import udf


@udf(kind="document")
def rants(run: int = 0, notes: int = 2000):
    """Raises an exception that says more than anybody reads."""
    error = ValueError("x" * 10**7)
    for number in range(notes):
        error.add_note(f"{number}" * 2000)
    raise error
