"""The page's frame: title, icon, language, navigation; nothing else."""

from __future__ import annotations

import streamlit as st

from core.assets import LOGO
from dashboard import frame

st.set_page_config(page_title="Condenser", page_icon=str(LOGO), layout="wide")  # before the navigation: a local icon
frame.navigate()
