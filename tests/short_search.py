"""A short search for training settings, for tests that are not about which settings are tried."""

import pytest

from reward_bases.train.validate import choose, covariance_scale, folds, inner_fold


def shorten_search(patch: pytest.MonkeyPatch) -> None:
    """One inner fold, one draw of answers, and a few settings instead of whole grids."""
    patch.setattr(folds, "ENOUGH", 1)
    patch.setattr(folds, "FEWEST_FOLDS", 1)
    patch.setattr(inner_fold, "ANSWER_DRAWS", 1)
    patch.setattr(choose, "HEADS", {"ridge": (1000.0,), "learned": (8,)})
    patch.setattr(choose, "AGGREGATE_RIDGES", (10.0, 100.0))
    patch.setattr(choose, "CONSISTENCIES", (0.0,))
    patch.setattr(choose, "LEAST", 0.5)
    patch.setattr(choose, "PEOPLE", {})
    for module in (covariance_scale, choose):
        patch.setattr(module, "COVARIANCE_SCALES", (0.5, 1.0))
