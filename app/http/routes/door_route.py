"""Routes of compatible endpoints: their documented parameters, and errors in the form that their clients parse."""

import json
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.http.access import SCORE, ScopedRoute
from app.http.problems import http_problem, invalid_problem, keel_problem
from app.http.routes.foreign_call import Envelope
from elicitation.errors import KeelError

ERROR_TYPES = {429: "Overloaded", 503: "Overloaded", 500: "Backend"}
PERSON_HELP = "person; a URL that begins with /u/{user_id} names it too, and all names must agree"


def _parameter(place: str, name: str, field: str, description: str | None = None) -> dict[str, Any]:
    schema = Envelope.schema_of(field)
    own = schema.pop("description")
    return {"in": place, "name": name, "required": False, "description": description or own, "schema": schema}


DOCUMENTED = {
    "parameters": [
        _parameter("header", "X-User-Id", "user_id", PERSON_HELP),
        *[
            _parameter(place, name, f"{what}_version", f"pins the {what} version")
            for what in ("profile", "basis")
            for place, name in (("header", f"X-Keel-{what.capitalize()}-Version"), ("query", f"{what}_version"))
        ],
        _parameter("query", "template", "template"),
    ],
}


class RunRoute(ScopedRoute):
    """What a client asks for around its rewards."""

    otherwise = SCORE


class DoorRoute(RunRoute):
    """Documents the parameters that ``call_of`` reads."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"openapi_extra": DOCUMENTED})


class ExtendedRoute(DoorRoute):
    """Adds to a problem the ``members`` that a dialect's clients read (RFC 9457, 3.2)."""

    @staticmethod
    @abstractmethod
    def members(problem: dict[str, Any]) -> dict[str, Any]: ...

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answered = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await answered(request)
            except KeelError as error:
                return self._extended(keel_problem(error))
            except RequestValidationError as error:
                return self._extended(invalid_problem(error))
            except HTTPException as error:
                return self._extended(http_problem(request, error))

        return answer

    def _extended(self, reply: Response) -> Response:
        problem = json.loads(bytes(reply.body))
        headers = {name: value for name, value in reply.headers.items() if name != "content-length"}
        return Response(json.dumps(problem | self.members(problem)), reply.status_code, headers)


class TeiRoute(ExtendedRoute):
    """text-embeddings-inference: ``{error, error_type}``."""

    @staticmethod
    def members(problem: dict[str, Any]) -> dict[str, Any]:
        return {"error": problem["detail"], "error_type": ERROR_TYPES.get(problem["status"], "Validation")}


class OpenAIRoute(ExtendedRoute):
    """OpenAI, vLLM and SGLang: ``{error: {message, type, code}}``."""

    @staticmethod
    def members(problem: dict[str, Any]) -> dict[str, Any]:
        return {"error": {"message": problem["detail"], "type": problem["title"], "code": problem["status"]}}
