from tileserver import udf


@udf
def recurses(run: int = 0):
    """Has no end."""
    return recurses(run)
