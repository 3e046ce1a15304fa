"""Counts and durations of this process, for Prometheus (``/metrics``).

Every label has a closed set of values, and none names a tenant or a person. What is a state rather than a count is read
when asked for, in ``app/http/collector.py``; requests are counted in ``app/http/middleware.py``.
"""

from collections import Counter as Number
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from prometheus_client import Counter, Histogram

from app.observing.measured import Measured, StageName
from safeguards.gate import REASONS

Operation = Literal["write", "read", "lookup"]
BINDINGS = ("aggregate", "none", "band", "divergence", "starc", "sd")
"""What limits a served reward: ``aggregate`` is nobody's own, ``none`` is as learned, ``band`` the agreement band."""
RUBRIC = "rubric"
"""Reason of every rejection by a check of the deployer's own, whose name is the deployer's."""
FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

STAGE_SECONDS = Histogram("keel_stage_seconds", "Time of a request's stage", ["stage"], registry=None, buckets=FAST)
QUEUE_WAIT = Histogram("keel_queue_wait_seconds", "Wait for the encoder's turn", registry=None, buckets=LONG)
QUEUE_REFUSALS = Counter("keel_queue_refusals", "Requests refused since too much waits", ["limit"], registry=None)
ENCODED_TEXTS = Counter("keel_encoded_texts", "Texts encoded", registry=None)
ENCODED_TOKENS = Counter("keel_encoded_tokens", "Tokens encoded, as estimated", registry=None)
GATE_TEXTS = Counter("keel_gate_texts", "Responses served with a verdict of the gate", registry=None)
GATE_REJECTIONS = Counter("keel_gate_rejections", "Reasons for rejections", ["reason"], registry=None)
SERVED = Counter("keel_served_rewards", "Rewards served, by what limited them", ["binding"], registry=None)
SOURCE_FAILURES = Counter("keel_source_failures", "Pairs that a source could not read", ["source"], registry=None)
STORE_SECONDS = Histogram("keel_store_seconds", "Work of the store", ["operation"], registry=None, buckets=FAST)
STORE_ERRORS = Counter("keel_store_errors", "Failures of the store", ["operation"], registry=None)

METRICS = (
    *(STAGE_SECONDS, QUEUE_WAIT, QUEUE_REFUSALS, ENCODED_TEXTS, ENCODED_TOKENS, GATE_TEXTS, GATE_REJECTIONS, SERVED),
    *(SOURCE_FAILURES, STORE_SECONDS, STORE_ERRORS),
)
LABELS: dict[Counter | Histogram, Iterable[str]] = {
    STAGE_SECONDS: get_args(StageName),
    QUEUE_REFUSALS: ("queue", "tenant", "key"),
    GATE_REJECTIONS: (*REASONS, RUBRIC),
    SERVED: BINDINGS,
    STORE_SECONDS: get_args(Operation),
    STORE_ERRORS: get_args(Operation),
}
for metric, values in LABELS.items():
    for value in values:
        # A count that is not there yet looks like one that is missing.
        metric.labels(value)


def count_stages(request: Measured) -> None:
    """Add a request's stages."""
    for name, seconds in request.seconds.items():
        STAGE_SECONDS.labels(name).observe(seconds)


def count_verdicts(reasons: Sequence[Sequence[str]]) -> None:
    """Add the gate's reasons for rejecting each response; none means that it passed."""
    GATE_TEXTS.inc(len(reasons))
    for reason, number in Number(one if one in REASONS else RUBRIC for some in reasons for one in some).items():
        GATE_REJECTIONS.labels(reason).inc(number)


def count_served(bindings: Iterable[str]) -> None:
    """Add served rewards, by what limits each."""
    for binding, number in Number(bindings).items():
        SERVED.labels(binding).inc(number)
