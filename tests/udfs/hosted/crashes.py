import os
import signal

import fused


@fused.udf(cache_max_age="0s")
def crashes(how: str = ""):
    """Takes its process down."""
    if how == "kill":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "exit":
        os._exit(3)
    if how == "memory":
        return len(bytes(64 * 2**30))
    return 0
