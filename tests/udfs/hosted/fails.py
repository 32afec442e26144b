import sys

import fused


@fused.udf
def fails(n: int = 1):
    """Prints to both streams, then raises."""
    print("measured", n)
    print("too low", file=sys.stderr)
    raise ValueError(f"no such river: {n}")
