"""Several people pinned in one request, and rewards shaped for training, over HTTP."""

import statistics

import httpx
import pytest

from tests.app.test_scoring import PROMPT, RESPONSES, scored, taught

pytestmark = pytest.mark.slow

PEOPLE = {"user_ids": ["ada", "ada", "bob", "bob"]}


async def two_people(http: httpx.AsyncClient) -> dict[str, str]:
    """Their versions now."""
    await taught(http, "ada", "llr")
    await taught(http, "bob", "rrl")
    versions: dict[str, str] = (await scored(http, **PEOPLE))["profile_versions"]
    return versions


async def test_two_people_in_one_request_can_be_pinned(http: httpx.AsyncClient) -> None:
    versions = await two_people(http)
    before = await scored(http, **PEOPLE)
    await taught(http, "ada", "ll")
    await taught(http, "bob", "ll")
    assert await scored(http, **PEOPLE, profile_versions=versions) == before
    half = await scored(http, **PEOPLE, profile_versions={"ada": versions["ada"]})
    assert half["rewards"][:2] == before["rewards"][:2]
    assert half["rewards"][2:] != before["rewards"][2:]


@pytest.mark.parametrize(
    ("pins", "said"),
    [
        ({"profile_versions": {"eve": "1-000000000000"}}, "pins 'eve', of whom no row is"),
        ({"profile_version": "1-000000000000"}, "use profile_versions"),
    ],
)
async def test_a_pin_that_fits_nobody_is_refused(http: httpx.AsyncClient, pins: dict[str, object], said: str) -> None:
    await two_people(http)
    body = {"prompts": [PROMPT] * 4, "completions": RESPONSES, **PEOPLE, **pins}
    response = await http.post("/v1/score", json=body)
    assert response.status_code in (409, 422)
    assert response.status_code == 409 or said in response.json()["detail"]


async def test_group_rewards_are_standardised_by_prompt_and_person(http: httpx.AsyncClient) -> None:
    await two_people(http)
    plain = (await scored(http, **PEOPLE))["rewards"]
    grouped = (await scored(http, **PEOPLE, normalize="group"))["rewards"]
    for rows in (slice(0, 2), slice(2, 4)):
        mean, std = statistics.fmean(plain[rows]), statistics.pstdev(plain[rows])
        assert grouped[rows] == pytest.approx([(reward - mean) / std for reward in plain[rows]])


async def test_bounded_rewards_are_the_scores_and_shapes_leave_scores_alone(http: httpx.AsyncClient) -> None:
    await two_people(http)
    plain = await scored(http, **PEOPLE)
    for shape in ({"bounded": True}, {"bounded": True, "normalize": "reference"}):
        reply = await scored(http, **PEOPLE, **shape)
        assert reply["rewards"] == pytest.approx(plain["scores"])
        assert reply["scores"] == plain["scores"]


async def test_reference_rewards_of_two_people_are_on_one_scale(http: httpx.AsyncClient) -> None:
    await two_people(http)
    plain = (await scored(http, user_id="ada"))["rewards"]
    reference = (await scored(http, user_id="ada", normalize="reference"))["rewards"]
    ratios = [a / b for a, b in zip(plain, reference, strict=True)]
    assert ratios == pytest.approx([ratios[0]] * 4)
    assert ratios[0] > 0


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
async def test_the_aggregate_is_mixed_in_at_its_weight(http: httpx.AsyncClient, weight: float) -> None:
    await two_people(http)
    own = (await scored(http, user_id="ada"))["rewards"]
    aggregate = (await scored(http))["rewards"]
    mixed = await scored(http, user_id="ada", mix=weight, detail=True)
    expected = [(1 - weight) * a + weight * b for a, b in zip(own, aggregate, strict=True)]
    assert mixed["rewards"] == pytest.approx(expected)
    assert [sum(detail["heads"].values()) for detail in mixed["details"]] == pytest.approx(expected)
