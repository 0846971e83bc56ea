"""Controls, the models that a step's model is compared with: their codes, and their English names for the terminal
and for files.

The pages take their names from `dashboard/text/*/controls.toml`. A method may name a control of its own: that name is
then both its code and its displayed name.
"""

from __future__ import annotations

WITHOUT_TEACHER = "without_teacher"  # the student with the same steps on the labels alone
WITHOUT_PEER = "without_peer"  # the same, of mutual learning
RANDOM_PRUNING = "random_pruning"  # the same amount removed, at random
FROM_SCRATCH = "from_scratch"  # the pruned shape with new weights
LABELS_ALONE = "labels_alone"  # without pseudo-labels
SOURCE_ONLY = "source_only"  # without adaptation to the target

ENGLISH = {
    WITHOUT_TEACHER: "twin without a teacher",
    WITHOUT_PEER: "twin without a peer",
    RANDOM_PRUNING: "twin cut at random",
    FROM_SCRATCH: "same shape from scratch",
    LABELS_ALONE: "labels alone",
    SOURCE_ONLY: "source only",
}
STORED = {words: code for code, words in ENGLISH.items()}  # by the point names that were stored before there were codes
PARTS = {"random-twin": RANDOM_PRUNING, "scratch": FROM_SCRATCH, "twin": WITHOUT_TEACHER}  # by a step's part


def english(code: str) -> str:
    """The English name of a control; an unknown code is returned unchanged."""
    return ENGLISH.get(code, code)


def code_of(name: str) -> str:
    """The code of a control given by its English name or by the part of a step that makes it; any other name is
    returned unchanged."""
    return STORED.get(name) or PARTS.get(name, name)
