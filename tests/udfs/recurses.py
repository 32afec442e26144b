from tileserver import udf


@udf
def recurses():
    """Has no end."""
    return recurses()
