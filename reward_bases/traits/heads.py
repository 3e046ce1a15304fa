"""The default heads: their names, phrases and what they are learned from."""

from reward_bases.basis import Head

QUALITY = "quality"
AGREEMENT = ("agreement_rate", "praise_rate")
_TAUGHT = "designed: taught by the recorded trait of the bank's heads part"
_JUDGES = "people: a direction along which UKPConvArg1 judges differ from the mean judge (PReF), named after the fact"


def _designed(name: str, low: str, high: str) -> Head:
    return Head(name, low, high, "designed", False, _TAUGHT)


HEADS = (
    _designed("brevity", "long, detailed", "short, to-the-point"),
    _designed("formality", "casual", "formal"),
    _designed("structure", "flowing", "itemised"),
    _designed("warmth", "matter-of-fact", "warm, encouraging"),
    _designed("directness", "open-ended", "direct, decided"),
    _designed("technical", "plain-worded", "technical"),
    _designed("examples", "general", "example-rich"),
    _designed("caution", "unworried", "cautious"),
    Head("development", "punchy", "developed, argued-out", "people", False, _JUDGES),
    Head("rhetoric", "measured", "rhetorical, questioning", "people", False, _JUDGES),
    Head(
        "agreement",
        "independent",
        "agreeing, praising",
        "surface",
        True,
        "explicit agreement and praise per sentence; its coefficient is 0: nobody's reward pays for them",
    ),
    Head(
        QUALITY,
        "less convincing",
        "more convincing",
        "quality",
        True,
        "human judgments of UKPConvArg1 and PandaLM with length taken out; not a truth signal",
    ),
)
TRAITS = tuple(head.name for head in HEADS if head.kind == "designed")
PEOPLE = tuple(head.name for head in HEADS if head.kind == "people")
