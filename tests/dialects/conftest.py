"""One real server for a whole module of tests, with Ada, who has answered, and Bob, who has not."""

from collections.abc import Iterator

import httpx
import pytest
from senders import listening_service

from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder


@pytest.fixture(scope="module")
def address(artifact: Artifact, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with listening_service(artifact, encoder, tmp_path_factory.mktemp("doors")) as url:
        yield url


@pytest.fixture(scope="module")
def service(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=60) as client:
        for name, choices in (("ada", ("left", "right", "left", "left")), ("bob", ())):
            for choice in (*choices, None):
                question = client.post(f"/v1/users/{name}/questions", json={"force": True, "seed": 4}).json()
                if choice:
                    body = {"question_id": question["question_id"], "choice": choice}
                    client.post(f"/v1/users/{name}/answers", json=body).raise_for_status()
        yield client
