"""Learn: lessons on real runs of one's own: predict, turn the knob, see what the network answers."""

from __future__ import annotations

from dashboard.i18n import language
from dashboard.learn import lesson, lessons, listing, presenter
from dashboard.session import raw_query


def main() -> None:
    asked = raw_query("lesson")
    found = None if asked is None else lessons.find(asked, language())
    if found is None:
        listing.draw(unknown=asked is not None)
    elif lessons.presenting():
        presenter.draw(found)
    else:
        lesson.draw(found)


main()
