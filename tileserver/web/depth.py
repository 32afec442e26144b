"""How deep in a chain of runs a request is, as the SDK says (hosted API, section 2.4)."""

from tileserver.errors import CallError
from tileserver.pipeline import CALL_DEPTH
from tileserver.web.access import header
from tileserver.web.answers import Scope


def check_depth(scope: Scope) -> None:
    """Raises CallError where a run would be deeper than our own functions may call each other."""
    said = header(scope, b"fused-recursion").strip()
    if said.isascii() and said.isdigit() and (len(said) > 3 or int(said) > CALL_DEPTH):
        raise CallError(f"calls go deeper than {CALL_DEPTH}: the request says {said[:9]} (Fused-Recursion)")
