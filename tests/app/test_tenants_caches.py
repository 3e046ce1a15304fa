"""A cache tells nobody what another tenant scored, unless the deployer shares it. Hits are counted, not timed."""

from pathlib import Path

import httpx
import pytest

from app.http.api import create_app
from app.scoring.engine import Engine
from app.settings import Settings
from app.storage.keys import stored_keys
from app.storage.opening import open_store
from reward_bases.artifact import Artifact
from reward_bases.sources.encoder import Encoder

BODY = {"prompts": ["Basil?"], "completions": ["Give it light."]}


async def hits_of_the_second(
    settings: Settings, artifact: Artifact, encoder: Encoder, first: str, second: str
) -> tuple[int, int, int]:
    """Hits in vectors, items and columns when ``second`` scores what ``first`` scored before."""
    async with stored_keys(settings) as keys:
        shown = {tenant: (await keys.create(tenant))[1] for tenant in {first, second}}
    engine = Engine(artifact, lambda: encoder, 100, 100)
    app = create_app(settings, open_store(settings), engine)
    caches = (engine.encoding.cache, engine.items, engine.columns.rows)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as http,
    ):
        await engine.start()
        for tenant in (first, second):
            before = [cache.hits for cache in caches]
            reply = await http.post("/v1/score", json=BODY, headers={"X-API-Key": shown[tenant]})
            assert reply.status_code == 200
            vectors, items, columns = (cache.hits - n for cache, n in zip(caches, before, strict=True))
    return vectors, items, columns


async def test_a_text_that_another_tenant_scored_is_not_known(
    tmp_path: Path, artifact: Artifact, encoder: Encoder
) -> None:
    settings = Settings(data_dir=tmp_path)
    assert await hits_of_the_second(settings, artifact, encoder, "a", "b") == (0, 0, 0)


@pytest.mark.parametrize(("share", "second"), [(False, "a"), (True, "b")])
async def test_ones_own_texts_are_known_and_shared_ones_too(
    tmp_path: Path, artifact: Artifact, encoder: Encoder, share: bool, second: str
) -> None:
    settings = Settings(data_dir=tmp_path, share_caches=share)
    assert await hits_of_the_second(settings, artifact, encoder, "a", second) == (0, 1, 0)
