"""A refit as people read it."""

from dataclasses import asdict

from app.jobs.refitting import Refit
from app.terminal import say, show, table


def present(refit: Refit, as_json: bool) -> None:
    """On standard output: one JSON object, or the heads before and after and how held-out people are predicted."""
    headings = ("head", "mean before", "std before", "mean after", "std after")
    show(refit, as_json, table(headings, (tuple(asdict(head).values()) for head in refit.heads)))
    if as_json:
        return
    held = refit.held_out
    say(f"people: {refit.people} with {refit.answers} answers; left out: {refit.left_out}")
    say(f"strength: {refit.strength}")
    say(
        f"held-out log-likelihood, nats per answer ({held.answers} of {held.people} people): old {held.old:.4f}, "
        f"new {held.new:.4f}, difference {held.difference:+.4f} [{held.low:+.4f}, {held.high:+.4f}]"
    )
    if refit.written is not None:
        say(f"population {refit.old_version} → {refit.new_version} in {refit.written}")
        say(f"the guard was tuned for the old one: keel guard tune --basis {refit.written} --write")
