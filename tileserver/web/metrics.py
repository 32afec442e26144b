"""`/metrics` for Prometheus: what this process answered, and how its pool stands. No token and no UDF is named."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from tileserver.execution import Executor
from tileserver.layers import Answer
from tileserver.tilecache import Counts, TileCache
from tileserver.web.operations import Operation
from tileserver.web.recent import Recent

_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_CACHE_SIZES: Final = dict.fromkeys(("memory_bytes", "memory_entries"), "Answers in memory.")
_CACHE_TOTALS: Final = {
    "memory_evictions": ("memory_evictions", "Answers that had to go."),
    "disk_written_bytes": ("disk_written", "Answers written to disk."),
    "disk_evictions": ("disk_evictions", "Answers that had to go from disk."),
    "store_failures": ("store_failures", "Operations of shared stores that failed."),
}
"""By the end of a metric's name what `TileCache.numbers` calls it, and a few words."""
_SECONDS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 120)


class Metrics:
    """Counts of one process; several processes are several targets."""

    def __init__(self, executor: Executor, recent: Recent, cache: TileCache, counts: Counts) -> None:
        self._cache, self.counts = cache, counts
        self._registry = CollectorRegistry()
        self._registry.register(_Pool(executor, recent))
        self._registry.register(_Cache(cache))
        ProcessCollector(registry=self._registry)
        name, help_text = "tileserver_answers", "Tiles and files by where they came from."
        self._answers = Counter(name, help_text, ["source"], registry=self._registry)
        self._errors = Counter("tileserver_errors", "Requests that failed, by code.", ["code"], registry=self._registry)
        self._udf = self._histogram("udf", "Time in functions.")
        self._encode = self._histogram("encode", "Time in encoders.")
        self._queue = self._histogram("queue", "Time in the queue and on the way.")

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"tileserver_{name}_seconds", text, buckets=_SECONDS, registry=self._registry)

    def answered(self, answer: Answer) -> None:
        """Count an answer."""
        self._answers.labels(answer.source).inc()
        self.counts.add(answer.source)
        if answer.source != "memory":  # which changes nothing in the tiers
            self.counts.put(**self._cache.numbers())
        if answer.source == "run":
            facts = answer.entry.facts
            self._udf.observe(facts.udf_ms / 1000)
            self._encode.observe(facts.encode_ms / 1000)
            self._queue.observe(answer.queue_ms / 1000)

    def failed(self, code: str) -> None:
        """Count an error."""
        self._errors.labels(code).inc()

    @Operation(media=(_TYPE,), who="anybody")
    async def show(self, request: Request) -> Response:
        """The text that Prometheus reads."""
        return Response(generate_latest(self._registry), headers={"content-type": _TYPE, "cache-control": "no-store"})


class _Cache(Collector):
    """Read when it is asked for."""

    def __init__(self, cache: TileCache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        """What this process keeps in memory, has written to disk, and could not have of shared stores."""
        numbers = self._cache.numbers()
        for name, text in _CACHE_SIZES.items():
            yield GaugeMetricFamily(f"tileserver_cache_{name}", text, numbers[name])
        for name, (number, text) in _CACHE_TOTALS.items():
            yield CounterMetricFamily(f"tileserver_cache_{name}", text, numbers[number])


class _Pool(Collector):
    """Read when it is asked for."""

    def __init__(self, executor: Executor, recent: Recent) -> None:
        self._executor, self._recent = executor, recent

    def collect(self) -> Iterator[Metric]:
        """The pool's state, and the answers that were given from this second's memory."""
        stats = self._executor.stats()
        yield GaugeMetricFamily("tileserver_jobs_running", "Functions that run.", stats.running)
        yield GaugeMetricFamily("tileserver_jobs_queued", "Functions that wait for a core.", stats.queued)
        yield GaugeMetricFamily("tileserver_workers", "Worker processes.", stats.workers)
        yield GaugeMetricFamily("tileserver_ready", "Whether functions can run.", int(stats.ready))
        yield CounterMetricFamily("tileserver_worker_deaths", "Workers that died unasked.", stats.deaths)
        yield CounterMetricFamily("tileserver_repeated", "Answers of the same second, given again.", self._recent.given)
