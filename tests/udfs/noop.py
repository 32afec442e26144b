from tileserver import udf


@udf
def noop(tile=None):
    """Nothing."""
