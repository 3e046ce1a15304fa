"""One visit: which service it talks to, which person it is about, and what to say when the service is away."""

import argparse
import secrets
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, cast

import streamlit as st

import keel
from ui.prose import plain

DEFAULT_URL = "http://127.0.0.1:8765"
START = "keel serve"
P = ParamSpec("P")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="streamlit run ui/main.py --", description="The web page of Keel.")
    parser.add_argument("--url", default=DEFAULT_URL, help="where the service listens (default: %(default)s)")
    parser.add_argument("--key-file", type=Path, help="file with the key that the service asks for")
    return parser.parse_args(sys.argv[1:])


def service_url() -> str:
    """The address behind ``streamlit run ui/main.py -- --url URL``."""
    return cast(str, _arguments().url)


@st.cache_resource(show_spinner=False, on_release=keel.Client.close)
def _connect(url: str, key_file: Path | None) -> keel.Client:
    key = None if key_file is None else key_file.read_text(encoding="utf-8").strip()
    return keel.Client(url, key=key)


def service() -> keel.Client:
    """The one connection of this process to the service."""
    return _connect(service_url(), _arguments().key_file)


def person() -> str:
    """Person of the visit: ``?user=`` in the address, else a random id that is put there, so a reload resumes."""
    user = st.query_params.get("user") or st.session_state.get("person") or f"guest-{secrets.token_hex(6)}"
    st.session_state["person"] = user
    st.query_params["user"] = user
    return str(user)


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
        trouble("Keel is not answering", f"Nothing answers at `{service_url()}`. Start it in a terminal:", START)
    except keel.Unavailable:
        trouble("Keel is still starting", "Its encoder is being loaded; that takes a few seconds.")
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
