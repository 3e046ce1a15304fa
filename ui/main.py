"""The web page of Keel: ``streamlit run ui/main.py -- --url http://127.0.0.1:8765``."""

from pathlib import Path

import streamlit as st

from ui.session import person

HERE = Path(__file__).parent


def main() -> None:
    st.set_page_config(page_title="Keel", page_icon=str(HERE / "mark.svg"), layout="wide")
    st.html(HERE / "style.css")
    pages = [
        st.Page(HERE / "elicit_page.py", title="Ask me", url_path="ask", default=True),
        st.Page(HERE / "profile_page.py", title="Profile", url_path="profile"),
        st.Page(HERE / "try_page.py", title="Try it", url_path="try"),
        st.Page(HERE / "audit_page.py", title="Audit", url_path="audit"),
    ]
    current = st.navigation(pages, position="hidden")
    masthead(pages)
    current.run()


def masthead(pages: list[st.Page]) -> None:
    """The name and the four pages; every link carries the person along."""
    with st.container(key="masthead", horizontal=True, vertical_alignment="center"):
        st.html('<div class="brand">Keel</div>', width="content")
        for page in pages:
            st.page_link(page, query_params={"user": person()})


main()
