"""Audit: is anybody being flattered or walled in? The latest report, one row a metric, and a new one on request."""

from html import escape
from typing import Any

import streamlit as st

import keel
from ui.parts import chip
from ui.prose import plain
from ui.report import VERDICTS, table, worst
from ui.session import page, service


def draw() -> None:
    st.header("Audit", anchor=False)
    st.markdown(
        "Is anybody being flattered, or walled in? Beside each metric stands what it reads without personalising "
        "(aggregate) and for a taste drawn by lot (random)."
    )
    if st.button("Run an audit now", type="primary"):
        with st.spinner("Measuring…"):
            stored = service().audit()
    else:
        try:
            stored = service().latest_audit()
        except keel.NotFound:
            st.info("No audit has been run yet.")
            return
    show(stored)


def show(stored: dict[str, Any]) -> None:
    findings = stored["report"]["findings"]
    status = worst(findings)
    st.html(f'<p class="verdict">{chip(status)} {escape(VERDICTS[status])}</p>')
    st.caption(f"Report {stored['audit_id'][:12]} of {plain(stored['created_at'][:16].replace('T', ' '))} UTC")
    st.html(table(findings))


page(draw)
