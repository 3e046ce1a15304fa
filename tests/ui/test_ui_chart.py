"""The chart of coefficients says what the profile says."""

import pytest

import keel
from ui.chart import coefficients

HEADS = (
    keel.HeadCoefficient("warmth", mean=0.3, std=0.1, aggregate=0.2, guarded=0.25),
    keel.HeadCoefficient("brevity", mean=-1.0, std=0.5, aggregate=0.4, guarded=-0.2),
)
ZERO, INTERVALS, MARKS = range(3)


@pytest.fixture
def layers() -> list[dict]:
    chart = coefficients(HEADS).to_dict()
    return [{**layer, "values": chart["datasets"][layer["data"]["name"]]} for layer in chart["layer"]]


def test_the_most_personal_head_comes_first(layers: list[dict]) -> None:
    assert layers[MARKS]["encoding"]["y"]["sort"] == ["Brevity", "Warmth"]


def test_the_interval_holds_95_percent_of_a_gaussian(layers: list[dict]) -> None:
    row = layers[INTERVALS]["values"][0]
    assert (row["low"], row["high"]) == pytest.approx((-1.98, -0.02))


def test_every_head_shows_the_person_the_guarded_value_and_everybody(layers: list[dict]) -> None:
    brevity = {row["what"]: row["value"] for row in layers[MARKS]["values"] if row["head"] == "Brevity"}
    assert brevity == {"You": -1.0, "You, as scored (guarded)": -0.2, "Everybody": 0.4}


def test_no_mark_is_told_by_its_colour_alone(layers: list[dict]) -> None:
    shapes = layers[MARKS]["encoding"]["shape"]["scale"]["range"]
    colours = layers[MARKS]["encoding"]["color"]["scale"]["range"]
    assert len(set(shapes)) == len(set(colours)) == 3
