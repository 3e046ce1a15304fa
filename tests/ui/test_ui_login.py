"""Names, hosts and tokens, without a socket."""

import hypothesis.strategies as st
import pytest
from hypothesis import given
from starlette.datastructures import Headers

from app.schemas.base import USER_ID
from ui.hosts import Hosts
from ui.identity import PERSON, is_auditor, person_of
from ui.login import ByHeader, Refused, Request, Visitor

IDENTITIES = st.text(min_size=1, max_size=50) | st.from_regex(PERSON, fullmatch=True)


def test_the_pages_idea_of_a_name_is_the_services() -> None:
    assert f"^{PERSON.pattern}$" == USER_ID


@given(IDENTITIES, IDENTITIES)
def test_two_identities_are_two_people_with_names_that_the_service_takes(one: str, other: str) -> None:
    assert PERSON.fullmatch(person_of(one))
    assert (person_of(one) == person_of(other)) == (one == other)


@given(IDENTITIES)
def test_nobody_can_be_called_like_the_hash_of_another(identity: str) -> None:
    assert person_of(person_of(identity)) == person_of(identity) or person_of(identity).startswith("login-")
    assert person_of(person_of(f"{identity} ")) != person_of(f"{identity} ")


@pytest.mark.parametrize("identity", ["", "x" * 1_025])
def test_an_identity_that_is_none_names_nobody(identity: str) -> None:
    with pytest.raises(ValueError, match="1 to 1024"):
        person_of(identity)


@given(IDENTITIES)
def test_an_auditor_is_named_by_identity_or_by_the_hash_that_the_profile_shows(identity: str) -> None:
    person = person_of(identity)
    assert is_auditor(person, [identity])
    assert is_auditor(person, [person])
    assert not is_auditor(person, [f"{identity} "])
    assert not is_auditor(person, [])
    assert not is_auditor(person_of(person_of(f"{identity} ")), [person_of(f"{identity} ")])


@pytest.mark.parametrize(
    ("proxies", "peer", "believed"),
    [
        ("127.0.0.1/32,::1/128", "127.0.0.1", True),
        ("127.0.0.1/32,::1/128", "::1", True),
        ("127.0.0.1/32,::1/128", "127.0.0.2", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "127.0.0.1", False),
        ("10.0.0.0/8", "", False),
    ],
)
def test_only_a_trusted_proxy_names_a_person(proxies: str, peer: str, believed: bool) -> None:
    request = Request(Headers({"X-Forwarded-User": "ada"}), peer, "/", "")
    verdict = ByHeader("X-Forwarded-User", tuple(proxies.split(","))).verdict(request)
    assert verdict == Visitor("ada") if believed else isinstance(verdict, Refused)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_host_and_origin_have_a_verdict_and_only_ours_pass(host: str, origin: str) -> None:
    hosts = Hosts({"localhost", "127.0.0.1"}, frozenset(), 8501)
    headers = Headers(raw=[(b"host", host.encode()), (b"origin", origin.encode())])
    assert hosts.fault(headers, origin_needed=True)
