"""Controls, the models that a step's own is compared with: each has a code; English words for terminal and files.

The pages have their words for a code in `dashboard/text/*/controls.toml`. A method may name a control of its own: that
name then is its code and its words.
"""

from __future__ import annotations

WITHOUT_TEACHER = "without_teacher"  # the student with the same steps on the labels alone
WITHOUT_PEER = "without_peer"  # the same, of mutual learning
RANDOM_PRUNING = "random_pruning"  # as much removed, at random
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
STORED = {words: code for code, words in ENGLISH.items()}  # by the name of a point that was stored before codes
PARTS = {"random-twin": RANDOM_PRUNING, "scratch": FROM_SCRATCH, "twin": WITHOUT_TEACHER}  # names of a step's parts


def english(code: str) -> str:
    """The words of a control: of a known code its own, else the code as it is."""
    return ENGLISH.get(code, code)


def code_of(name: str) -> str:
    """The code of a control that is named in English, or as the part of a step in which it is made; any other name as
    it is."""
    return STORED.get(name) or PARTS.get(name, name)
