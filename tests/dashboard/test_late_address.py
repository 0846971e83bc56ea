"""An address of a moment ago is taken for the one that is on its way; one that a person chose is not."""

from __future__ import annotations

import pytest

from dashboard.late_address import MOMENT, Written

SOON, LATER = 10.0 + MOMENT / 2, 10.0 + 2 * MOMENT


@pytest.fixture
def visit() -> Written:
    """A page that was opened with `sel=a`, whose scripts then wrote two more addresses, the last until 10 s."""
    written = Written()
    assert written.meant("sel=a", "page", 0.0, went_back=False) == "sel=a"
    written.write("sel=a%2Cb")
    written.write("sel=a%2Cb%2Cc")
    written.ended = 10.0
    return written


@pytest.mark.parametrize("told", ["sel=a", "sel=a%2Cb", "sel=a,b", "sel=a%2Cb%2Cc"])
def test_for_a_moment_the_newest_is_meant(visit: Written, told: str) -> None:
    for _ in range(2):
        assert visit.meant(told, "page", SOON, went_back=False) == "sel=a%2Cb%2Cc"


def test_after_a_moment_it_is_what_the_browser_says(visit: Written) -> None:
    assert visit.meant("sel=a", "page", LATER, went_back=False) == "sel=a"
    visit.ended = LATER
    assert visit.meant("sel=a%2Cb%2Cc", "page", LATER, went_back=False) == "sel=a%2Cb%2Cc"


def test_back_is_followed_at_once(visit: Written) -> None:
    assert visit.meant("sel=a", "page", SOON, went_back=True) == "sel=a"
    visit.ended = SOON
    assert visit.meant("sel=a", "page", SOON, went_back=False) == "sel=a", "and is not taken back"


def test_another_page_has_its_own_address(visit: Written) -> None:
    assert visit.meant("sel=a", "other", SOON, went_back=False) == "sel=a"
    assert visit.meant("", "page", SOON, went_back=False) == ""


def test_an_address_that_was_not_there_is_new(visit: Written) -> None:
    assert visit.meant("sel=d", "page", SOON, went_back=False) == "sel=d"
    assert visit.newest == "sel=d"


def test_the_order_and_writing_of_parameters_do_not_matter() -> None:
    visit = Written()
    visit.meant("x=1&sel=a:0", "page", 0.0, went_back=False)
    visit.write("sel=a%3A0&x=1")
    assert len(visit.recent) == 1, "nothing was written"
    assert visit.meant("sel=a%3A0&x=1", "page", 0.1, went_back=False) == "sel=a%3A0&x=1"


def test_the_first_page_is_named_late() -> None:
    visit = Written()
    visit.meant("", "main", 0.0, went_back=False)
    visit.meant("", "page", 1.0, went_back=False)
    visit.write("sel=a")
    visit.ended = 2.0
    assert visit.meant("", "page", 2.1, went_back=False) == "sel=a"
