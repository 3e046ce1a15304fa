"""Settings of encoder tuning."""

from dataclasses import dataclass

from elicitation.checks import K_MAX, require_number


@dataclass(frozen=True)
class TuneSettings:
    """A run can only be resumed with the settings with which it began.

    Attributes:
        epochs: passes over the judgments, at most.
        patience: epochs without a better log-likelihood of the watched people after which tuning ends.
        batch: judgments per step.
        adapter_rate: AdamW's largest learning rate for the adapters; warmed up, then linearly down to 0.
        head_rate: the same for the head.
        decay: AdamW's weight decay of the adapters.
        head_std: prior standard deviation of the entries of w and B, nats.
        directions: K, in how many ways people may differ.
        rank: rank of the adapters; alpha: their scale is alpha/rank.
        max_norm: longest gradient, of the adapters and of the head.
        characters: a text is read up to here while tuning (never while scoring), which bounds memory.
        held_out: share of the people who are held out.
        seed: of every random choice.
    """

    epochs: int = 3
    patience: int = 2
    batch: int = 16
    adapter_rate: float = 1e-3
    head_rate: float = 5e-3
    decay: float = 0.01
    head_std: float = 1.0
    directions: int = 2
    rank: int = 8
    alpha: int = 16
    max_norm: float = 1.0
    characters: int = 2000
    held_out: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch", "rank", "alpha", "characters"):
            require_number(name, getattr(self, name), 1, 1e9)
        for name in ("adapter_rate", "head_rate", "head_std", "max_norm"):
            require_number(name, getattr(self, name), 1e-12, 1e6)
        require_number("decay", self.decay, 0.0, 1.0)
        require_number("directions", self.directions, 0, K_MAX - 1)
        require_number("held_out", self.held_out, 0.01, 0.9)
