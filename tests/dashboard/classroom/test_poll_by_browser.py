"""The poll as a class lives it: the teacher presents, a learner is called and predicts, the count moves by itself."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.classroom.learners import Class
from core.commands.sharing import address_of
from core.lessons.diary import Prediction, read_diary, write_diary
from core.processes.dashboard import Address
from core.workspace import Workspace
from tests.browser import SLOW, Watched, violations, wait_until_drawn
from tests.dashboard.classroom.test_poll_page import lesson, slide_of
from tests.dashboard.classroom.test_shared_class import joined, school

__all__ = ["school"]
pytestmark = pytest.mark.slow
LOOKED_AT = 2.0  # seconds within which the count follows, beside what a busy machine takes


def teacher(chromium: Browser, address: Address, path: str) -> Page:
    page = chromium.new_context(locale="en-US", viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(SLOW)
    page.goto(address_of(address, "teacher"))
    page.wait_for_selector("[data-testid=stMain] h2")
    page.goto(f"{address.url}/{path}")
    page.wait_for_selector(".st-key-presenter")
    wait_until_drawn(page)
    return page


def predict(root: Path, nickname: str, number: float) -> None:
    """As if that learner had predicted, in their own browser."""
    learner = next(one for one in Class(root).learners() if one.nickname == nickname)
    store = Workspace(root / "class" / learner.id)
    write_diary(store, read_diary(store, "pruning").predicted(0, Prediction(number=number, made=time.time())))


def test_a_class_predicts_and_the_teacher_shows_the_answers(
    school: tuple[Workspace, Address], chromium: Browser
) -> None:
    workspace, address = school
    context, ana = joined(chromium, address, "Ana")
    watched = Watched(ana).listen()
    for number in range(4):
        Class(workspace.path).join(f"learner {number}")
    screen = teacher(chromium, address, f"learn?lesson=pruning&present={slide_of(lesson(), 0)}")
    told = screen.locator(".st-key-class_poll")
    expect(told).to_contain_text("Nobody has predicted yet (0 of 5)")
    screen.evaluate("() => { document.querySelector('.st-key-presenter').dataset.mine = 'the same' }")

    invitation = ana.locator(".st-key-class_invitation")
    expect(invitation).to_contain_text("what do you predict?", timeout=SLOW)
    assert violations(ana) == []
    invitation.get_by_role("link", name="Make your prediction").click()
    ana.wait_for_selector("[class*=st-key-learn_predict_button] button")
    wait_until_drawn(ana)
    assert "lesson=pruning" in ana.url
    ana.locator("[class*=st-key-learn_predict_button] button").click()
    expect(ana.locator(".st-key-learn_act")).to_be_visible(timeout=SLOW)
    expect(told).to_contain_text("1 of 5 have predicted", timeout=SLOW)
    predict(workspace.path, "learner 0", 91.0)
    began = time.monotonic()
    expect(told).to_contain_text("2 of 5 have predicted", timeout=SLOW)
    assert time.monotonic() - began < LOOKED_AT + SLOW / 1000 / 3
    expect(told.locator(".live-plot")).to_have_count(0)

    screen.keyboard.press("a")
    expect(told.locator(".live-plot[data-drawn]")).to_have_count(1, timeout=SLOW)
    expect(told).to_contain_text("Measured:")
    expect(told).not_to_contain_text("Ana")
    screen.evaluate("() => { document.querySelector('.live-plot').dataset.mine = 'the same' }")
    predict(workspace.path, "learner 1", 20.0)
    expect(told).to_contain_text("1 prediction came after the answers were shown", timeout=SLOW)
    assert screen.evaluate("() => document.querySelector('.live-plot').dataset.mine") == "the same"
    assert screen.evaluate("() => document.querySelector('.st-key-presenter').dataset.mine") == "the same"
    screen.keyboard.press("n")
    expect(told).to_contain_text("learner 0 91 %", timeout=SLOW)
    assert violations(screen) == []

    screen.keyboard.press("ArrowRight")
    expect(told).to_have_count(0, timeout=SLOW)
    expect(invitation).to_contain_text(re.compile("is showing lesson"), timeout=SLOW)
    expect(invitation).not_to_contain_text("what do you predict?", timeout=SLOW)
    screen.get_by_role("button", name="Close").click()
    expect(invitation).to_have_count(0, timeout=SLOW)
    watched.is_clean()
    context.close()
    screen.context.close()
