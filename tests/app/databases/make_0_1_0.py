"""Makes the database of version 0.1.0 and what that version said about it, for tests of migrations.

Run it in a checkout of commit fded382, the last one with the modules of 0.1.0:

    PYTHONPATH=. python make_0_1_0.py FOLDER

It writes ``keel_0_1_0.db.gz`` and ``keel_0_1_0.json`` into FOLDER. Keys in the JSON open a service of tests alone.
"""

import asyncio
import gzip
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from app.api import default_app
from app.backup import back_up

from app.settings import Settings

NAME = "keel_0_1_0"
PROMPT = "How do I keep basil alive?"
REAL = "Give it six hours of light and water it when the top of the soil is dry."
SHORT = "Water it."
EMPTY = "Solution:"
CHOICES = ("left", "right", "same", "both_poor", "skip")
LEVELS = ("excellent", "acceptable", "unacceptable")
Sent = dict[str, Any]


class Tenant:
    """Requests with a tenant's key."""

    def __init__(self, http: httpx.AsyncClient, key: str) -> None:
        self._http, self.key = http, key

    async def send(self, method: str, path: str, body: Sent | None = None, idempotency_key: str | None = None) -> Any:
        headers = {"X-API-Key": self.key} | ({"Idempotency-Key": idempotency_key} if idempotency_key else {})
        reply = await self._http.request(method, path, json=body, headers=headers)
        assert reply.is_success, (method, path, reply.text)
        return reply.json() if reply.content else None

    async def ask(self, user: str, seed: int) -> Sent:
        return await self.send("POST", f"/v1/users/{user}/questions", {"seed": seed, "force": True})

    async def tell(self, user: str, seed: int, idempotency_key: str | None = None) -> Sent:
        body = {"question_id": (await self.ask(user, seed))["question_id"], "choice": CHOICES[seed % len(CHOICES)]}
        body |= {"strength": "clear"} if seed % 5 == 0 else {}
        body |= {"note": f"shorter, please, and with an example: {seed}"} if seed % 3 == 0 else {}
        reply = await self.send("POST", f"/v1/users/{user}/answers", body, idempotency_key)
        return {"request": body, "reply": reply}

    async def undo(self, user: str, idempotency_key: str | None = None) -> Sent:
        return await self.send("DELETE", f"/v1/users/{user}/answers/last", None, idempotency_key)

    async def rate(self, user: str, seed: int) -> None:
        body: Sent = {"level": LEVELS[seed % 3]}
        question = await self.ask(user, seed)
        body |= {"question_id": question["question_id"], "side": "left"} if seed % 2 else {}
        await self.send(
            "POST", f"/v1/users/{user}/anchors", body if seed % 2 else body | {"prompt": PROMPT, "response": REAL}
        )


async def lived(http: httpx.AsyncClient, keys: Any) -> Sent:
    """Two tenants' people, and what was said to them on the way."""
    said: Sent = {}
    (_, acme), (_, globex), (revoked, closed) = [await keys.create(name) for name in ("acme", "globex", "acme")]
    one, two = Tenant(http, acme), Tenant(http, globex)
    for user, answers in (("ada", 9), ("bob", 4), ("dan", 2)):
        for seed in range(answers):
            await one.tell(user, seed, f"{user}-{seed}")
        for seed in range(4):
            await one.rate(user, seed)
    for user in ("fay", "gus", "hal", "ivy"):
        await one.tell(user, 1)
    for seed in range(5, 8):
        await two.tell("ada", seed)
    said["replayed"] = await one.tell("ada", 10, "again")
    said["undone"] = await one.undo("ada", "undo")
    await one.tell("ada", 11)
    await one.undo("bob")
    await one.ask("cy", 3)
    said["open"] = {user: await one.ask(user, 20) for user in ("ada", "cy")}
    for tenant in (one, two):
        await tenant.send("POST", "/v1/rank", {"prompt": PROMPT, "candidates": [SHORT, REAL], "user_id": "ada"})
    appeals = []
    for user, text in (("ada", EMPTY), ("bob", "Answer:"), (None, "Solution: ")):
        body = {"prompt": PROMPT, "response": text, "note": "It is a title."} | ({"user_id": user} if user else {})
        appeals.append((await one.send("POST", "/v1/appeals", body))["appeal_id"])
    await one.send("POST", f"/v1/appeals/{appeals[0]}/verdict", {"verdict": "overturn"})
    await one.send("POST", f"/v1/appeals/{appeals[1]}/verdict", {"verdict": "uphold"})
    await one.send("DELETE", "/v1/users/dan")
    for tenant in (one, two):
        await tenant.send("POST", "/v1/audits")
    await keys.revoke(revoked.key_id)
    return said | {"keys": {"acme": acme, "globex": globex}, "revoked": closed}


PEOPLE = (("acme", ("ada", "bob", "cy", "fay", "gus", "hal", "ivy")), ("globex", ("ada",)))


async def seen(http: httpx.AsyncClient, keys: dict[str, str]) -> Sent:
    """Replies of 0.1.0 by tenant and path."""
    paths = {tenant: ["/v1/appeals?all=true", "/v1/audits/latest"] for tenant in keys}
    for tenant, users in PEOPLE:
        for user in users:
            paths[tenant] += [f"/v1/users/{user}/{what}" for what in ("profile", "export", "export/preferences")]
    found: Sent = {}
    for tenant, wanted in paths.items():
        client = Tenant(http, keys[tenant])
        found[tenant] = {path: await client.send("GET", path) for path in wanted}
        export = found[tenant]["/v1/users/ada/export"]
        for version in sorted({question["profile_version"] for question in export["questions"]}):
            path = f"/v1/users/ada/profile?version={version}"
            found[tenant][path] = await client.send("GET", path)
    return found


async def make(data: Path) -> Sent:
    app = default_app(Settings(data_dir=data, traffic_days=30))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=300) as http:
            while (await http.get("/health/ready")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            said = await lived(http, app.state.service.keys)
            return said | {"seen": await seen(http, said["keys"])}


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as data:
        said = asyncio.run(make(Path(data)))
        back_up(Path(data) / "keel.db", Path(data) / "copy.db")
        (folder / f"{NAME}.db.gz").write_bytes(gzip.compress((Path(data) / "copy.db").read_bytes(), mtime=0))
    (folder / f"{NAME}.json").write_text(json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
