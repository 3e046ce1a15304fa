"""The guard's effect, in plain words with its numbers."""

import keel
from ui.parts import number, share

BINDING = {
    "none": "No limit was reached.",
    "divergence": "The limit reached first is how far the choice between answers may move from everybody's.",
    "starc": "The limit reached first is how differently answers may be ordered overall.",
    "sd": "Everybody's score is nearly flat here, so the personal part is bounded in absolute size instead.",
}
BAND = {
    "explicit": ("agreement, praise and giving in, in words", "agreement in words"),
    "implicit": ("answers that take your side without saying so", "siding without saying so"),
}
"""Meaning of each stratum of the agreement band, in long and in short."""


def guard_in_words(guard: keel.Guard) -> str:
    """One paragraph: how much of the person's difference counts, and what held the rest back."""
    bands = [_band(name, band) for name, band in guard.band.items()]
    return " ".join((_alpha(guard), BINDING.get(guard.binding, f"Bound by {guard.binding}."), *bands))


def _band(stratum: str, band: keel.Band) -> str:
    described, short = BAND.get(stratum, (stratum, stratum))
    if band.status == "inactive":
        return f"The agreement band is off for {described}: the encoder cannot see it, so it is not measured."
    held = "and held something back" if band.binds else "and had nothing to hold back"
    return f"The agreement band is on for {short}, {held}."


def _alpha(guard: keel.Guard) -> str:
    if guard.alpha >= 1:
        return "Nothing was held back: what sets your taste apart from everybody's counts in full."
    return f"{share(guard.alpha)} of what sets your taste apart from everybody's counts; the guard holds the rest back."


def guard_in_numbers(guard: keel.Guard) -> list[tuple[str, str, str]]:
    """Rows of name, value and meaning."""
    limit, starc_limit = number(guard.budget.get("divergence")), number(guard.budget.get("starc"))
    starc = "undefined" if guard.starc is None else number(guard.starc)
    return [
        ("Strength α", number(guard.alpha), "0 is everybody's taste, 1 is yours alone"),
        ("Divergence, largest", f"{number(guard.divergence_max)} nats", f"limit {limit} nats at any reference prompt"),
        ("Divergence, usual", f"{number(guard.divergence_p95)} nats", "95 % of reference prompts stay below"),
        ("Distance of orderings", starc, f"STARC, 0 to 1; limit {starc_limit}"),
    ]
