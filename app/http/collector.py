"""Metrics that are states: read from the service when somebody asks for them."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from app.audit.state import WatchedAudits
from app.http.service import Service


class ServiceCollector(Collector):
    """Reads caches, queue, encoder and audits; no label names a tenant or a person."""

    def __init__(self, service: Service, audits: WatchedAudits, version: str) -> None:
        self._service, self._audits, self._version = service, audits, version

    def collect(self) -> Iterator[Metric]:
        yield from self._about()
        yield from self._caches()
        yield from self._queue()
        yield from self._audit()

    def _about(self) -> Iterator[Metric]:
        artifact, encoding = self._service.engine.artifact, self._service.engine.encoding
        served = {"basis": artifact.basis.version, "population": artifact.population_version}
        yield InfoMetricFamily("keel_service", "Versions in force", {"version": self._version, **served})
        yield GaugeMetricFamily("keel_encoder_ready", "1 when the encoder is loaded", encoding.ready)
        yield CounterMetricFamily("keel_encoder_batches", "Batches encoded", encoding.batches)

    def _caches(self) -> Iterator[Metric]:
        lookups = CounterMetricFamily("keel_cache_lookups", "Cache lookups", labels=["cache", "result"])
        entries = GaugeMetricFamily("keel_cache_entries", "Values held in a cache", labels=["cache"])
        limit = GaugeMetricFamily("keel_cache_limit", "Values that a cache may hold", labels=["cache"])
        engine, profiles = self._service.engine, self._service.profiles
        for name, cache in (*engine.caches.items(), ("profiles", profiles.cache)):
            lookups.add_metric([name, "hit"], cache.hits)
            lookups.add_metric([name, "miss"], cache.misses)
            entries.add_metric([name], len(cache))
            limit.add_metric([name], cache.size)
        yield from (lookups, entries, limit)

    def _queue(self) -> Iterator[Metric]:
        turns = self._service.engine.encoding.turns
        limit = GaugeMetricFamily("keel_queue_limit", "Waiting amount at which requests are refused", labels=["unit"])
        for unit in ("texts", "tokens"):
            yield GaugeMetricFamily(f"keel_queue_{unit}", f"{unit.capitalize()} that wait", getattr(turns, unit))
            limit.add_metric([unit], getattr(turns.limits, unit))
        yield limit

    def _audit(self) -> Iterator[Metric]:
        state = self._audits.state
        findings = GaugeMetricFamily("keel_audit_findings", "Findings of the latest audits", labels=["status"])
        for status, number in state.findings.items():
            findings.add_metric([status], number)
        yield findings
        yield GaugeMetricFamily("keel_audit_missing", "Tenants with people and without an audit", state.missing)
        age = GaugeMetricFamily("keel_audit_age_seconds", "Age of the oldest of all tenants' latest audits")
        if state.age is not None:
            age.add_metric([], state.age)
        yield age
