"""Who is meant: every place that names a person must agree, and versions can be pinned where the body has no room."""

from typing import Any

import httpx
import pytest
from senders import SENDERS, chatml, listening_service

from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder

TURNS = [("user", "How do I keep basil?")]
ANSWER = "1. Light.\n2. Water, now and then!"
OPENRLHF = SENDERS["openrlhf"].body(TURNS, ANSWER)


def own(service: httpx.Client) -> float:
    body = {"prompts": [TURNS[0][1]], "completions": [ANSWER], "user_id": "ada"}
    reward: float = service.post("/v1/score", json=body).json()["rewards"][0]
    return reward


NAMED: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "user": ("", {"user": "ada"}, {}),
    "user_id": ("", {"user_id": "ada"}, {}),
    "user_ids": ("", {"user_ids": ["ada"]}, {}),
    "labels": ("", {"labels": [{"user_id": "ada"}]}, {}),
    "model": ("", {"model": "keel/ada"}, {}),
    "header": ("", {}, {"X-User-Id": "ada"}),
    "URL": ("/u/ada", {}, {}),
    "everywhere": (
        "/u/ada",
        {"user": "ada", "user_ids": ["ada"], "labels": [{"user_id": "ada"}], "model": "keel/ada"},
        {"X-User-Id": "ada"},
    ),
}


@pytest.mark.parametrize("place", NAMED)
def test_a_person_may_be_named_in_any_place(service: httpx.Client, place: str) -> None:
    prefix, body, headers = NAMED[place]
    reply = service.post(f"{prefix}/get_reward", json=OPENRLHF | body, headers=headers)
    assert reply.json()["rewards"] == [pytest.approx(own(service), abs=1e-9)]


@pytest.mark.parametrize("place", ["user", "user_id", "user_ids", "labels", "model", "header"])
def test_two_places_that_disagree_are_refused(service: httpx.Client, place: str) -> None:
    _, body, headers = NAMED[place]
    reply = service.post("/u/bob/get_reward", json=OPENRLHF | body, headers=headers)
    assert reply.status_code == 422
    assert "agree" in reply.json()["detail"]


def test_rows_may_belong_to_different_people(service: httpx.Client) -> None:
    body = {name: value * 3 for name, value in OPENRLHF.items()} | {
        "labels": [{"user_id": "ada"}, "", {"user_id": "bob"}]
    }
    first, second, third = service.post("/get_reward", json=body).json()["rewards"]
    assert first == pytest.approx(own(service), abs=1e-9)
    assert second == third != first, "Bob has answered nothing: he is scored as the aggregate"


def test_labels_that_name_nobody_are_ignored(service: httpx.Client) -> None:
    for label in ("ada", 3, None, {"answer": 42}, ["ada"]):
        reply = service.post("/get_reward", json=OPENRLHF | {"labels": [label]})
        assert reply.json() == service.post("/get_reward", json=OPENRLHF).json()


def test_the_label_of_a_slime_sample_names_its_person(service: httpx.Client) -> None:
    body = {"prompt": TURNS[0][1], "response": ANSWER, "label": {"user_id": "ada", "answer": "?"}}
    assert service.post("/rm", json=body).json() == pytest.approx(own(service), abs=1e-9)


def test_a_model_of_any_other_name_names_nobody(service: httpx.Client) -> None:
    plain = service.post("/get_reward", json=OPENRLHF | {"model": "ada/keel"}).json()
    assert plain == service.post("/get_reward", json=OPENRLHF).json()


@pytest.mark.parametrize("door", SENDERS)
def test_an_unknown_person_is_refused_and_never_worth_0(service: httpx.Client, door: str) -> None:
    reply = service.post(SENDERS[door].path, json=SENDERS[door].body(TURNS, ANSWER), headers={"X-User-Id": "nobody"})
    assert reply.status_code == 404
    assert "nobody" in reply.json()["detail"]


def test_an_unknown_person_gets_the_aggregate_where_the_setting_says_so(
    artifact: Artifact, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fallback")
    with (
        listening_service(artifact, encoder, folder, unknown_person="aggregate") as url,
        httpx.Client(base_url=url, timeout=60) as http,
    ):
        for sender in SENDERS.values():
            common = http.post(sender.path, json=sender.body(TURNS, ANSWER))
            reply = http.post(sender.path, json=sender.body(TURNS, ANSWER), headers={"X-User-Id": "nobody"})
            assert sender.read(reply.json()) == sender.read(common.json())
            assert reply.headers["X-Keel-Fallback"] == "aggregate"
            assert "X-Keel-Fallback" not in common.headers
        assert http.post("/u/nobody/get_reward", json=OPENRLHF).json()["fallback"] == "aggregate"
        native = {"prompts": ["p"], "completions": ["c"], "user_id": "nobody"}
        assert http.post("/v1/score", json=native).status_code == 404


@pytest.mark.parametrize("form", ["header", "query"])
def test_a_pinned_version_keeps_its_rewards(service: httpx.Client, form: str) -> None:
    version = service.get("/v1/users/ada/profile").json()["version"]
    earlier = f"0-{version.partition('-')[2]}"
    headers = {"X-Keel-Profile-Version": earlier} if form == "header" else {}
    query = "" if form == "header" else f"?profile_version={earlier}"
    pinned = service.post(f"/u/ada/get_reward{query}", json=OPENRLHF, headers=headers)
    assert pinned.json() == service.post("/get_reward", json=OPENRLHF).json(), "before any answer: the aggregate"


def test_a_basis_that_is_not_served_is_a_conflict(service: httpx.Client) -> None:
    assert service.post("/get_reward", json=OPENRLHF, headers={"X-Keel-Basis-Version": "other"}).status_code == 409
    both = service.post("/get_reward?basis_version=a", json=OPENRLHF, headers={"X-Keel-Basis-Version": "b"})
    assert both.status_code == 422


@pytest.mark.parametrize("name", ["a b", "-ada", "x" * 129, "a/b"])
def test_an_impossible_name_is_refused(service: httpx.Client, name: str) -> None:
    assert service.post("/get_reward", json=OPENRLHF, headers={"X-User-Id": name}).status_code == 422
    assert service.post("/get_reward", json=OPENRLHF | {"user": name}).status_code == 422


def test_the_native_routes_stand_under_a_persons_url_too(service: httpx.Client) -> None:
    body = {"prompts": [TURNS[0][1]], "completions": [ANSWER]}
    assert service.post("/u/ada/v1/score", json=body).json()["rewards"] == [own(service)]
    assert service.post("/u/bob/v1/score", json=body | {"user_id": "ada"}).status_code == 422
    assert chatml(TURNS) in OPENRLHF["query"][0]
