from tileserver import udf


@udf(kind="document")
def raises(run: int = 0):
    """Raises an exception of its own."""
    raise ValueError(f"run {run} shall not be")
