"""Figures for Prometheus: requests, queues, and the indexes in memory."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The figures of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "lookalike_http_requests",
            "Requests, by route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "lookalike_http_request_seconds",
            "Duration of requests, by route.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.waiting = Gauge(
            "lookalike_queue_size",
            "What runs or waits, by queue.",
            ("queue",),
            registry=self.registry,
        )
        self.refused = Gauge(
            "lookalike_queue_refused",
            "What was answered 503 because the queue was full.",
            ("queue",),
            registry=self.registry,
        )
        self.held = Gauge(
            "lookalike_held_index_bytes",
            "Memory of the index of a collection.",
            ("collection",),
            registry=self.registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        return generate_latest(self.registry)
