"""A page that shows every answer of ``tests/ui/fetching.py`` with its address replaced: ``ADDRESS raw|faithful``."""

import sys

import streamlit as st

from tests.ui.fetching import FETCHING, URL
from ui.prose import faithful

address, way = sys.argv[1:]
for name, text in FETCHING.items():
    shown = text.replace(URL, f"{address}/{name.replace(' ', '-')}.png")
    st.markdown(faithful(shown) if way == "faithful" else shown)
st.markdown("All answers are on view.")
