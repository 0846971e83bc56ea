"""Try it: a picture of one's own, put to several saved models side by side."""

from __future__ import annotations

import streamlit as st

from dashboard.i18n import say
from dashboard.tryit import album, answers, keep, many, models, picture
from dashboard.tryit.given import given


def main() -> None:
    chosen = models.choose()
    if not chosen:
        return
    left, right = st.columns([1, 2], gap="large")
    with left:
        picture.choose(chosen)
        now = given(chosen[0].run.id)
        if now is not None:
            keep.show(now, chosen[0].run.summary().dataset)
    with right:
        if now is None:
            st.info(say("tryit.nothing"), icon=":material/image:")
        else:
            answers.show(chosen, now)
    album.show(chosen)
    many.show(chosen)


main()
