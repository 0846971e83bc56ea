"""Class: for a learner their corner and the hand-in; for the teacher who is where, results, limits and hand-ins."""

from __future__ import annotations

from dashboard.classroom import collecting, limits_form, own_corner, results, who
from dashboard.session import is_learner, root


def main() -> None:
    if is_learner():
        own_corner.show()
        if results.are_shown():
            results.show(root().path)
        return
    who.show()
    results.show(root().path)
    collecting.show()
    limits_form.show()


main()
