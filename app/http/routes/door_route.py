"""Routes of compatible endpoints: their documented parameters, and errors in the form that their clients parse."""

import json
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from app.http.dialects.templates import PLAIN, PROMPT, RESPONSE, TEMPLATES
from app.http.problems import invalid_problem, keel_problem
from elicitation.errors import KeelError

TEMPLATE_HELP = f"{', '.join((PLAIN, *TEMPLATES))}, or a pattern with {PROMPT} and {RESPONSE}; default: detected"
ERROR_TYPES = {429: "Overloaded", 503: "Overloaded", 500: "Backend"}


def _parameter(place: str, name: str, description: str) -> dict[str, Any]:
    return {"in": place, "name": name, "required": False, "description": description, "schema": {"type": "string"}}


PERSON_HELP = "person; a URL that begins with /u/{user_id} names it too, and all names must agree"
DOCUMENTED = {
    "parameters": [
        _parameter("header", "X-User-Id", PERSON_HELP),
        *[
            _parameter(place, name, f"pins the {what} version")
            for what in ("profile", "basis")
            for place, name in (("header", f"X-Keel-{what.capitalize()}-Version"), ("query", f"{what}_version"))
        ],
        _parameter("query", "template", TEMPLATE_HELP),
    ],
    "security": [{"HTTPBearer": []}, {"APIKeyHeader": []}],
}


class DoorRoute(APIRoute):
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
