"""What surrounds every page: its title, the language, the navigation, and what must be said on all of them."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.assets import LOGO
from core.classroom.places import class_of
from core.text.escaping import UserText
from dashboard import streamlit_words, terms
from dashboard.addresses import address_of
from dashboard.classroom import presence
from dashboard.classroom.seats import seats
from dashboard.i18n import say
from dashboard.session import (
    LANGUAGES,
    Language,
    choose_language,
    language,
    read_only,
    root,
    seat,
    session_id,
    widget,
    workspace,
)

PRODUCT = "Condenser"
PAGES = (
    "home",
    "data",
    "backbones",
    "design",
    "live",
    "search",
    "tradeoffs",
    "inspect",
    "tryit",
    "learn",
    "glossary",
)  # files, addresses
STYLE = Path(__file__).with_name("frame.css")
SCRIPT = Path(__file__).with_name("frame.js")
NAMES = {"en": "EN", "zh": "中文"}


def navigate() -> None:
    """Draws the frame and runs the page that the address names."""
    pages = [
        st.Page(
            f"app_pages/{name}.py",
            title=say(f"frame.{name}"),
            url_path=address_of(name),
            default=name == "home",
        )
        for name in (*PAGES, *_of_class())
    ]
    st.html(STYLE)
    if language() != "en":
        st.html(f"<style>{uploads()}</style>")
    st.logo(str(LOGO), size="medium")  # its name is written next to it by the style sheet
    chosen = st.navigation(pages, position="top")
    st.set_page_config(page_title=PRODUCT if chosen.url_path == "" else f"{chosen.title} · {PRODUCT}")
    with st.container(horizontal=True, vertical_alignment="center", key="frame"):
        st.header(chosen.title, anchor=False, help=about(chosen.url_path) or None)
        _languages()
        _copies()
        streamlit_words.put()
    if read_only():
        st.warning(say("frame.read_only", path=UserText(workspace().path).md()), icon=":material/lock:")
    _class(chosen.url_path)
    chosen.run()


def uploads() -> str:
    """A style sheet that puts the person's words on the buttons of file uploaders: Streamlit has English ones only."""
    label = "[data-testid=stMarkdownContainer]"
    button = "button[data-testid=stBaseButton-secondary]"
    words = {"": say("frame.upload"), ":has([webkitdirectory])": say("frame.upload_folder")}
    place = f"[data-testid=stFileUploaderDropzone]{{which}} > span {button} {label}"
    shown = (f'{place.format(which=which)}::after {{ content: "{text}"; }}' for which, text in words.items())
    unseen = "position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);"  # but still a name
    return "\n".join((f"{place.format(which='')} p {{ {unseen} }}", *shown))


def about(address: str) -> str:
    """Links to the terms that explain the page at that address."""
    page = next((name for name in PAGES if address_of(name) == (address or "home")), "")
    return terms.of_words(f"frame.{page}")


def _of_class() -> tuple[str, ...]:
    """The page Class, where the dashboard is shared or was."""
    return ("classroom",) if seat() is not None or class_of(root().path).is_dir() else ()


def _class(page: str) -> None:
    """In a class: who looks at what, whose corner is shown, and what was refused outside of a page."""
    mine = seat()
    if mine is not None:
        seats().came(session_id(), mine, page)
    presence.show(mine, page)


def _copies() -> None:
    """What is copied from a page comes without the joiners that keep a person's text as typed; links to the glossary
    are followed in the same window."""
    js = SCRIPT.read_text(encoding="utf-8")
    copies = st.components.v2.component("copies", html="<span></span>", js=js, isolate_styles=False)
    copies(key="frame_copies", width="content")


def _languages() -> None:
    now = language()
    key = f"frame_language_{now}"  # a widget of its own for each: one that is set from here may answer its old value
    st.segmented_control(
        say("frame.language"),
        LANGUAGES,
        format_func=lambda spoken: NAMES[spoken],
        default=now,
        required=True,
        key=key,
        on_change=_choose,
        args=(key,),
        label_visibility="collapsed",
        width="content",
    )


def _choose(key: str) -> None:
    chosen: Language | None = widget(key, None)
    if chosen is not None:
        choose_language(chosen)
