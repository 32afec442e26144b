import signal

from tileserver import udf

UNSEEN = {signal.SIGKILL, signal.SIGSTOP}


@udf(kind="document")
def ignores(run: int = 0):
    """Says how it meets signals; then ignores and blocks all that it can, and asks for an alarm in a minute."""
    numbers = sorted(signal.valid_signals() - UNSEEN)
    handlers = {int(number): str(signal.getsignal(number)) for number in numbers}
    seen = {"handlers": handlers, "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, numbers))}
    for number in numbers:
        if signal.getsignal(number) is not None:  # else it belongs to the threads library
            signal.signal(number, signal.SIG_IGN)
    seen["alarm"] = signal.alarm(60)
    return seen
