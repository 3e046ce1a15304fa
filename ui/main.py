"""The web page of Keel, as ``ui.run`` serves it: who may see what, and the four pages."""

from pathlib import Path

import streamlit as st

from ui.arguments import given
from ui.session import START, behind_front, carried, logged_in, sees_audit

HERE = Path(__file__).parent


def main() -> None:
    st.set_page_config(page_title="Keel", page_icon=str(HERE / "mark.svg"), layout="wide")
    st.html(HERE / "style.css")
    if not behind_front():
        unguarded()
    elif not logged_in():
        login()
    else:
        pages = visible_pages()
        current = st.navigation(pages, position="hidden")
        masthead(pages)
        current.run()


def visible_pages() -> list[st.Page]:
    """The pages of this visitor; the audit of everybody is not for everybody."""
    pages = [
        st.Page(HERE / "elicit_page.py", title="Ask me", url_path="ask", default=True),
        st.Page(HERE / "profile_page.py", title="Profile", url_path="profile"),
        st.Page(HERE / "try_page.py", title="Try it", url_path="try"),
    ]
    audit = st.Page(HERE / "audit_page.py", title="Audit", url_path="audit")
    return [*pages, audit] if sees_audit() else pages


def masthead(pages: list[st.Page]) -> None:
    """The name and the pages; every link carries the person along."""
    with st.container(key="masthead", horizontal=True, vertical_alignment="center"):
        st.html('<div class="brand">Keel</div>', width="content")
        for page in pages:
            st.page_link(page, query_params=carried())
        if given().login == "oidc":
            st.button("Log out", key="log-out", type="tertiary", on_click=st.logout)


def login() -> None:
    with st.container(key="login"):
        st.html('<div class="brand">Keel</div>', width="content")
        st.header("Log in to answer for yourself", anchor=False)
        st.markdown("Your answers are kept under your login. Others who log in do not see them.")
        st.button("Log in", type="primary", on_click=st.login)


def unguarded() -> None:
    with st.container(key="login"):
        st.html('<div class="brand">Keel</div>', width="content")
        st.header("This page runs without its guard", anchor=False)
        st.markdown("Streamlit alone does not check who connects. Start the page together with the service:")
        st.code(START, language="sh")


main()
