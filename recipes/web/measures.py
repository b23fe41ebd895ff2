"""What a server measures of itself, in the text format of Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from recipes.web.waiting import SIZES, Room

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Measures:
    """Counts requests, pictures and batches; `room` says how many pictures wait."""

    def __init__(self, room: Room):
        self._registry = CollectorRegistry()
        registry = {"registry": self._registry}
        ProcessCollector(**registry)
        self.requests = Counter("zoo_requests", "Requests that were answered", ["path", "status"], **registry)
        self.seconds = Histogram(
            "zoo_request_seconds", "Time from a request to its answer", ["path"], buckets=SECONDS, **registry
        )
        self.pictures = Counter("zoo_pictures", "Pictures that were answered for", ["run", "outcome"], **registry)
        self.batches = Histogram("zoo_batch_pictures", "Pictures in a batch of the network", ["run"], buckets=SIZES, **registry)
        Gauge("zoo_waiting_pictures", "Pictures that wait for an answer", **registry).set_function(lambda: room.taken_pictures)
        Gauge("zoo_waiting_limit", "Pictures that may wait", **registry).set(room.pictures)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self.requests.labels(path, str(status)).inc()
        self.seconds.labels(path).observe(seconds)

    def text(self) -> bytes:
        """Write all that was measured."""
        return generate_latest(self._registry)
