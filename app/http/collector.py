"""Metrics that are states: read from the service when somebody asks for them."""

from collections.abc import Iterator
from contextlib import suppress

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from app.audit.state import WatchedAudits
from app.http.service import Service
from elicitation.errors import KeelError


class ServiceCollector(Collector):
    """Reads caches, queue, encoder and audits; no label names a tenant or a person."""

    def __init__(self, service: Service, audits: WatchedAudits, version: str) -> None:
        self._service, self._audits, self._version = service, audits, version
        self._ready: dict[str, bool] = {}

    async def refresh(self) -> None:
        """Look at parts and audits, which takes a coroutine. What the store cannot tell now stays as it was."""
        self._ready = await self._service.health.parts()
        with suppress(KeelError):
            await self._audits.refresh()

    def collect(self) -> Iterator[Metric]:
        yield from self._about()
        yield from self._caches()
        yield from self._queue()
        yield from self._audit()

    def _about(self) -> Iterator[Metric]:
        artifact, encoding = self._service.engine.artifact, self._service.engine.encoding
        served = {"basis": artifact.basis.version, "population": artifact.population_version}
        yield InfoMetricFamily("keel_service", "Versions in force", {"version": self._version, **served})
        ready = GaugeMetricFamily("keel_ready", "1 when the part can do its work", labels=["part"])
        for part, well in self._ready.items():
            ready.add_metric([part], well)
        yield ready
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
        for unit, waiting in (("texts", turns.texts), ("tokens", turns.tokens), ("seconds", turns.wait)):
            yield GaugeMetricFamily(f"keel_queue_{unit}", f"{unit.capitalize()} of work that wait", waiting)
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
