"""`fused.submit`: one UDF for many arguments at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any, Final

from tileserver.errors import CallError
from tileserver.worker.fused.loaded import Loaded, load
from tileserver.worker.fused.runs import described, run

_AT_ONCE: Final = 32


class Jobs:
    """Runs under way, in the order of their arguments."""

    def __init__(self, work: Callable[..., Any], arguments: list[dict[str, Any]], workers: int) -> None:
        self.arg_list = arguments
        pool = ThreadPoolExecutor(min(workers, _AT_ONCE), "submit")
        self._futures: list[Future[Any]] = [pool.submit(work, **each) for each in arguments]
        pool.shutdown(wait=False)

    def __len__(self) -> int:
        return len(self._futures)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results())

    def __getitem__(self, place: int) -> "Future[Any]":
        return self._futures[place]

    def wait(self) -> None:
        """Return when all have ended."""
        wait(self._futures)

    tail = wait

    def done(self) -> bool:
        """Whether all have ended."""
        return all(future.done() for future in self._futures)

    def cancel(self) -> None:
        """Begin no more of them."""
        for future in self._futures:
            future.cancel()

    def results(self, return_exceptions: bool = False) -> list[Any]:
        """What each returned, in order, when all have ended.

        Raises:
            Exception: the first that one raised, unless exceptions are to be returned.
        """
        self.wait()
        if return_exceptions:
            return [_error(future) or future.result() for future in self._futures]
        return [future.result() for future in self._futures]

    def errors(self) -> dict[int, BaseException]:
        """What was raised, by place."""
        told = {place: _error(future) for place, future in enumerate(self._futures)}
        return {place: error for place, error in told.items() if error is not None}

    def collect(self, ignore_exceptions: bool = False, flatten: bool = True, drop_index: bool = False) -> Any:
        """All results as one DataFrame, those of an argument under its values as index.

        Data frames are put below each other; else there is a row for each, in the column `result`.
        """
        import pandas as pd

        self.wait()
        failed = self.errors() if ignore_exceptions else {}
        places = [place for place in range(len(self)) if place not in failed]
        results = [self._futures[place].result() for place in places]
        frames = flatten and results and all(isinstance(each, pd.DataFrame) for each in results)
        index = _index([{} if drop_index else self.arg_list[place] for place in places])
        if not frames:
            return pd.DataFrame({"result": pd.Series(results, dtype=object).to_numpy()}, index=index)
        counts = [len(each) for each in results]
        below = pd.concat(results)
        levels = [index.repeat(counts).get_level_values(level) for level in range(index.nlevels)]
        own = [below.index.get_level_values(level) for level in range(below.index.nlevels)]
        below.index = pd.MultiIndex.from_arrays([*levels, *own])
        return below

    df = collect_df = collect


def _error(future: "Future[Any]") -> BaseException | None:
    return CancelledError("it was cancelled") if future.cancelled() else future.exception()


def _index(arguments: list[dict[str, Any]]) -> Any:
    import pandas as pd

    if not any(arguments):
        return pd.RangeIndex(len(arguments), name="arg_pos")
    table = pd.DataFrame(arguments).map(lambda value: value if _is_hashable(value) else str(value))
    return pd.MultiIndex.from_frame(table) if len(table.columns) > 1 else pd.Index(table.iloc[:, 0])


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def submit(
    udf: Any,
    arg_list: Any,
    /,
    *,
    max_workers: int | None = None,
    collect: bool = True,
    debug_mode: bool = False,
    ignore_exceptions: bool = False,
    flatten: bool = True,
    drop_index: bool = False,
    **options: Any,
) -> Any:
    """The results of a UDF for each of many arguments, up to 32 at once.

    Args:
        udf: as `fused.run` takes it.
        arg_list: parameters for each run: dicts, the rows of a DataFrame, or values of the first parameter.
        collect: whether they come as one DataFrame; else as `Jobs`, at once, which has them in a list.
        debug_mode: whether to run the first one alone, and return what that does.
        ignore_exceptions: whether runs that failed are left out.
        options: those of `fused.run`, for every run.

    Raises:
        CallError: the arguments are not such, or a run failed.
    """
    for name in ("execution_type", "wait_on_results", "n_processes_per_worker", "run_cache_max_age"):
        options.pop(name, None)
    arguments = _arguments(udf, arg_list)
    if debug_mode:
        return run(udf, **{**options, **arguments[0]})
    jobs = Jobs(lambda **each: run(udf, **{**options, **each}), arguments, max_workers or _AT_ONCE)
    return jobs.collect(ignore_exceptions, flatten, drop_index) if collect else jobs


def _arguments(udf: Any, arg_list: Any) -> list[dict[str, Any]]:
    arguments = arg_list.to_dict(orient="records") if hasattr(arg_list, "columns") else list(arg_list)
    if not arguments:
        raise CallError("submit() needs arguments for at least one run")
    if all(isinstance(each, dict) for each in arguments):
        return arguments
    udf = load(udf) if isinstance(udf, str) else udf
    known = udf._udf if isinstance(udf, Loaded) else described(udf)
    if not known.parameters:
        raise CallError(f"the UDF '{known.entry}' takes no parameter")
    return [{known.parameters[0].name: each} for each in arguments]
