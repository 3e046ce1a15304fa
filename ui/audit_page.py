"""Audit: is anybody being flattered or walled in? The latest report, one row a metric, and a new one on request."""

import json
from html import escape
from typing import Any

import streamlit as st

import keel
from ui.chart import trends
from ui.parts import chip
from ui.prose import plain
from ui.report import SOURCES, VERDICTS, change, errors, table, worst
from ui.session import page, page_service


def draw() -> None:
    st.header("Audit", anchor=False)
    st.markdown(
        "Is anybody being flattered, or walled in? Beside each metric stands what it reads without personalising "
        "(aggregate) and for a random taste (random)."
    )
    if st.button("Run an audit now", type="primary"):
        with st.spinner("Measuring…"):
            stored = page_service().audit()
    else:
        try:
            stored = page_service().latest_audit()
        except keel.NotFound:
            st.info("No audit has been run yet.")
            return
    show(stored)


def show(stored: dict[str, Any]) -> None:
    report = stored["report"]
    status = worst(report["findings"])
    st.html(f'<p class="verdict">{chip(status)} {escape(VERDICTS[status])}</p>')
    for one in stored["changes"]:
        st.markdown(plain(change(one)))
    for source, (heading, explanation) in SOURCES.items():
        findings = [finding for finding in report["findings"] if finding["source"] == source]
        st.subheader(heading, anchor=False)
        st.caption(explanation)
        st.html(table(findings))
    mistakes(report["errors"])
    over_time(stored)
    made_from(stored)


def mistakes(rates: list[dict[str, Any]]) -> None:
    if rates:
        st.subheader("Mistakes, by how much they cost", anchor=False)
        st.caption(
            "Of the choices people made, those that Keel predicted wrongly: each counted once, and weighted by how "
            "much a policy that follows the reward visits the two answers."
        )
        st.html(errors(rates))


def over_time(stored: dict[str, Any]) -> None:
    chart = trends(stored["trends"], stored["report"]["findings"])
    if chart is not None:
        st.subheader("Over the audits so far", anchor=False)
        st.caption("Value with its 95 % interval; the dashed line is the amber limit, the solid one the red.")
        st.altair_chart(chart, theme=None, alt="Each metric over the stored audits, with its limits")


def made_from(stored: dict[str, Any]) -> None:
    st.subheader("What this holds for", anchor=False)
    versions = stored["report"]["versions"]
    facts = [f"made {stored['created_at'][:16].replace('T', ' ')} UTC", f"content {stored['audit_id'][:12]}"]
    facts += [f"{name} {version[:12]}" for name, version in versions.items()]
    st.caption(plain(" · ".join(facts)))
    content = json.dumps(stored, indent=2, ensure_ascii=False)
    st.download_button("Download as JSON", content, "keel-audit.json", "application/json", on_click="ignore")


page(draw)
