import os

from tileserver import udf


@udf(kind="document")
def moves(run: int = 0):
    """Says where it is and how it makes files; then goes elsewhere, and makes them for everybody."""
    seen = {"folder": os.path.realpath(os.curdir) == os.path.realpath(os.environ["TMPDIR"]), "umask": os.umask(0)}
    os.chdir("/")
    return seen
