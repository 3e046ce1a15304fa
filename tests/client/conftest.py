"""A real server with two people who have answered, to stop, start again and let stumble."""

from collections.abc import Iterator

import pytest

from app.settings import Settings
from keel import Client
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder
from tests.client.servers import Server


@pytest.fixture
def server(settings: Settings, artifact: Artifact, encoder: Encoder) -> Iterator[Server]:
    """Two people have answered two questions each, in opposite ways."""
    running = Server(settings, artifact, encoder)
    with Client(running.url) as client:
        for name, choice in (("ada", "left"), ("bob", "right")):
            for seed in (1, 2):
                question = client.ask(name, rule="dopt", seed=seed, force=True)
                assert question is not None
                client.tell(name, question.question_id, choice, strength="clear")
    yield running
    running.stop()
