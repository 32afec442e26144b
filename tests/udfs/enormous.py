from tileserver import udf


@udf
def enormous(run: int = 0, size: int = 30_000_000):
    """Returns many bytes."""
    return b"x" * size
