"""One visit: which service it talks to, which person it is about, and what to say when the service is away."""

import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import streamlit as st

import keel
from ui.arguments import given, secret
from ui.identity import is_auditor, person_of
from ui.prose import plain

START = "keel serve"
LIFETIME, RENEWAL = 3_600, 3_000
"""Seconds that a person's key lives, and after which the page makes another."""
MOST_VISITS = 1_000
"""Keys and connections that are kept; whoever came longest ago gets others."""
P = ParamSpec("P")


@st.cache_resource(show_spinner=False, ttl=2 * LIFETIME, max_entries=MOST_VISITS, on_release=keel.Client.close)
def _connect(url: str, key: str | None) -> keel.Client:
    """A connection for as long as its key may live."""
    return keel.Client(url, key=key)


@st.cache_data(show_spinner=False, ttl=RENEWAL, max_entries=MOST_VISITS)
def _bound_key(user: str) -> str:
    """A key that reaches this person alone."""
    return page_service().person_key(user, seconds=LIFETIME).key


def service() -> keel.Client:
    """The service, with a key of the visit's person alone; without keys, one connection for everybody."""
    file = given().key_file
    return _connect(given().url, None if file is None else _bound_key(person()))


def page_service() -> keel.Client:
    """The service with the page's own key, for making keys and for the audit of everybody."""
    file = given().key_file
    return _connect(given().url, None if file is None else secret(file))


def forgotten(user: str) -> None:
    """Erasing a person revokes their keys: the next request needs another."""
    _bound_key.clear(user)


def behind_front() -> bool:
    """Whether the layer that checks hosts and logins stands in front of this page."""
    return bool(st.user.get("keel_visitor"))


def logged_in() -> bool:
    """Whether it is known who visits; an address names the person where no login does."""
    return given().login != "oidc" or bool(st.user.get("is_logged_in") and st.user.get("sub"))


def person() -> str:
    """Person of the visit: whoever logged in, else ``?user=`` in the address, else a random id that is put there."""
    if given().login != "token":
        return _only_own(_identified())
    user = st.query_params.get("user") or st.session_state.get("person") or f"guest-{secrets.token_hex(6)}"
    st.session_state["person"] = user
    st.query_params["user"] = user
    return str(user)


def carried() -> dict[str, str]:
    """What a link to another page takes along, so that it is about the same person."""
    return {"user": person()} if given().login == "token" else {}


def sees_audit() -> bool:
    """Whether the audit of everybody is for this person: on one's own machine, or for those named as auditors."""
    return given().login == "token" or is_auditor(person(), given().auditors)


def _identified() -> str:
    """The person whom the proxy named, or whom OpenID Connect did."""
    return str(st.user["keel_visitor"]) if given().login == "header" else person_of(str(st.user["sub"]))


def _only_own(user: str) -> str:
    """The person, in a visit that holds nothing of anybody else."""
    st.query_params.pop("user", None)
    if st.session_state.get("person", user) != user:
        st.session_state.clear()
    st.session_state["person"] = user
    return user


def say(message: str) -> None:
    """Keeps a message for the next time the page is drawn."""
    st.session_state["notice"] = message


def show_notice() -> None:
    if message := st.session_state.pop("notice", None):
        st.toast(message)


def page(draw: Callable[[], Any]) -> None:
    """Draws a page, or tells what to do about a service that is away, still starting, or refuses."""
    show_notice()
    try:
        draw()
    except keel.Unreachable:
        trouble("Keel is not answering", f"Nothing answers at `{given().url}`. Start it in a terminal:", START)
    except keel.Unavailable:
        trouble("Keel is still starting", "Its encoder is being loaded; that takes a few seconds.")
    except keel.Unauthorized as refusal:
        forgotten(person())
        trouble("Keel asks for another key", plain(refusal.detail))
    except keel.Problem as problem:
        trouble("Keel cannot do that", plain(problem.detail))


def trouble(title: str, explanation: str, remedy: str | None = None) -> None:
    with st.container(key="trouble"):
        st.header(title, anchor=False)
        st.markdown(explanation)
        if remedy is not None:
            st.code(remedy, language="sh")
        st.button("Try again", type="primary")


def careful(callback: Callable[P, None]) -> Callable[P, None]:
    """A callback that says what went wrong instead of ending the page."""

    @wraps(callback)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            callback(*args, **kwargs)
        except keel.KeelError as error:
            say(plain(error.detail if isinstance(error, keel.Problem) else str(error)))

    return guarded
