"""A call in a foreign format: its headers and query parameters, and its reply."""

import asyncio
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from app.errors import NotFound
from app.http.access import person_named, require_person
from app.http.dialects.foreign import ForeignReply, ForeignRequest, Row, Scored, TemplateName
from app.http.routes.common import service_of
from app.http.service import Service
from app.schemas.base import BasisVersion, ProfileVersion, UserId
from app.schemas.scoring import ScoreReply, ScoreRequest
from app.scoring import bounds
from app.storage.keys import Grant
from app.storage.store import PersonKey
from elicitation.errors import InvalidInput, PairsFailed

LARGE_CHARACTERS = 50_000
AGGREGATE = "aggregate"


class Envelope(BaseModel):
    """Person, versions and template from URL and headers."""

    user_id: UserId | None = None
    profile_version: ProfileVersion | None = None
    basis_version: BasisVersion | None = None
    template: TemplateName | None = None

    @classmethod
    def schema_of(cls, name: str) -> dict[str, Any]:
        """The JSON schema of a field that is sent."""
        sent: dict[str, Any] = cls.model_json_schema()["properties"][name]["anyOf"][0]
        return sent


NOTHING = Envelope()


@dataclass(frozen=True)
class ForeignCall:
    """What the key of a call allows, the service, and the parameters from URL and headers."""

    grant: Grant
    service: Service
    envelope: Envelope

    async def answer(self, asked: ForeignRequest) -> Response:
        """Score the rows of a foreign request and reply in its dialect."""
        rows = await self._rows(asked)
        people = asked.people(len(rows), self.envelope.user_id)
        require_person(self.grant, *people)
        try:
            scored, fallback = await self._scored(rows, asked, people) if rows else (Scored.nothing(), False)
        except PairsFailed as error:
            if (unjudged := asked.unjudged(error)) is None:
                raise
            return Response(to_json(unjudged), media_type="application/json")
        reply = asked.reply(scored)
        headers = {"X-Keel-Fallback": AGGREGATE} if fallback else {}
        headers |= {"X-Keel-Flags": ", ".join(scored.flags)} if scored.flags else {}
        if headers and isinstance(reply, ForeignReply):
            told = {"fallback": AGGREGATE if fallback else None, "flags": scored.flags or None}
            reply = reply.model_copy(update=told)
        # A reply is a model of ours, or a list of them: FastAPI need not validate it again.
        return Response(to_json(reply), headers=headers, media_type="application/json")

    def _request(self, rows: list[Row], asked: ForeignRequest) -> ScoreRequest:
        """The rows as a request of ours; RequestValidationError where they break its schema."""
        flags: dict[str, Any] = dict.fromkeys(asked.asks, True)
        try:
            return ScoreRequest(
                prompts=[row.prompt for row in rows],
                completions=[row.response for row in rows],
                profile_version=self.envelope.profile_version,
                basis_version=self.envelope.basis_version,
                **flags,
            )
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from error

    async def _rows(self, asked: ForeignRequest) -> list[Row]:
        """The rows of a request whose sizes were checked; many characters are split on another thread."""
        characters = bounds.foreign(asked, self.service.settings)
        if characters > LARGE_CHARACTERS:
            return await asyncio.to_thread(asked.rows, self.envelope.template)
        return asked.rows(self.envelope.template)

    async def _scored(self, rows: list[Row], asked: ForeignRequest, people: list[str | None]) -> tuple[Scored, bool]:
        """The numbers of some rows, and whether unknown people got the aggregate's reward."""
        reply, fallback = await self._replied(self._request(rows, asked), people)
        flags = list(dict.fromkeys(chain(*reply.flags or ())))
        return Scored(reply.rewards, reply.scores, reply.details or (), reply.components or {}, flags), fallback

    async def _replied(self, request: ScoreRequest, people: list[str | None]) -> tuple[ScoreReply, bool]:
        """The reply, and whether unknown people got the aggregate's reward, as the settings may allow."""
        scoring, tenant = self.service.scoring, self.grant.tenant
        try:
            return await scoring.score(tenant, request, people), False
        except NotFound:
            known = {name: await self._known(name) for name in people if name is not None}
            if self.service.settings.unknown_person != AGGREGATE or all(known.values()):
                raise
        people = [name if name and known[name] else None for name in people]
        return await scoring.score(tenant, request, people), True

    async def _known(self, user_id: str) -> bool:
        try:
            await self.service.store.find([PersonKey(self.grant.tenant, user_id)])
        except NotFound:
            return False
        return True


async def call_of(request: Request) -> ForeignCall:
    """Read by hand: FastAPI would take longer over these parameters than the score takes."""
    headers, query = request.headers, request.query_params
    said = {
        "user_id": person_named(request),
        "profile_version": _one("version", query.get("profile_version"), headers.get("X-Keel-Profile-Version")),
        "basis_version": _one("version", query.get("basis_version"), headers.get("X-Keel-Basis-Version")),
        "template": query.get("template"),
    }
    try:
        unsaid = all(value is None for value in said.values())
        envelope = NOTHING if unsaid else Envelope.model_validate(said)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    return ForeignCall(request.state.grant, await service_of(request), envelope)


def _one(what: str, *said: str | None) -> str | None:
    """The one value that URL and header agree on."""
    given = {value for value in said if value is not None}
    if len(given) > 1:
        raise InvalidInput(f"URL and header name two {what}s; let them agree, or send one")
    return given.pop() if given else None


Calling = Annotated[ForeignCall, Depends(call_of)]
