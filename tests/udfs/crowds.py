import threading

from tileserver import udf


@udf(kind="document")
def crowds(run: int = 0, count: int = 500, seconds: float = 3.0):
    """A thread bomb. Bounded: at most `count`, and all end by themselves."""
    threading.stack_size(64 * 1024)
    waiting = [threading.Thread(target=threading.Event().wait, args=(seconds,), daemon=True) for _ in range(count)]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    return {"threads": count}
