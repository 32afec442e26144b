from tileserver import udf


@udf
def devours():
    """Takes more memory than it may."""
    return bytearray(8 * 10**9)
