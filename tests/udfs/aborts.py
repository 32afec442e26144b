import os

from tileserver import udf


@udf(kind="document")
def aborts(run: int = 0):
    """Ends as a failed assertion in C does."""
    os.abort()
