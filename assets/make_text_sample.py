"""Builds assets/text-sample/sentences.csv: 1,200 short English sentences about four topics, 300 each.

    python assets/make_text_sample.py

The sentences are ARTIFICIAL: filled templates, written for this project, so that there is a text dataset without a
download and without anyone's rights. People, places, times and adjectives are shared by all topics; what tells them
apart is one or two words. Seeded, so the file comes out the same every time.
"""

from __future__ import annotations

import csv
import io
import json

from core.assets import ASSETS
from core.engine.data.dataset import shuffled
from core.engine.data.imports.texts import Bag, bag_of_words
from core.engine.data.sets.text_topics import text_sample
from core.files import make_folder, write_atomic

TARGET = ASSETS / "text-sample" / "sentences.csv"
SEED, EACH = 20181016, 300  # the day Super Characters appeared
WHO = (
    "my sister",
    "the old man",
    "our neighbour",
    "a friend",
    "the teacher",
    "her brother",
    "the young couple",
    "my uncle",
    "nobody here",
    "the whole family",
    "his daughter",
    "the woman next door",
    "a stranger",
    "grandfather",
)
WHEN = (
    "in the morning",
    "after work",
    "on Sunday",
    "last week",
    "every day",
    "in the evening",
    "at noon",
    "in winter",
    "before lunch",
    "late at night",
    "for an hour",
    "again and again",
    "this year",
    "since Monday",
)
HOW = (
    "old",
    "new",
    "small",
    "heavy",
    "beautiful",
    "cheap",
    "strange",
    "quiet",
    "red",
    "broken",
    "large",
    "simple",
    "famous",
    "warm",
)
TOPICS = {
    "garden": (
        (
            "tomato",
            "rose",
            "hedge",
            "lawn",
            "apple tree",
            "seed",
            "compost heap",
            "flower bed",
            "spade",
            "tulip",
            "greenhouse",
            "weed",
            "watering can",
            "cucumber",
            "bee",
            "shrub",
            "blossom",
            "orchard",
            "rake",
            "root",
        ),
        ("plants", "waters", "prunes", "digs up", "looks after", "photographs"),
    ),
    "kitchen": (
        (
            "soup",
            "frying pan",
            "oven",
            "loaf of bread",
            "sauce",
            "omelette",
            "kettle",
            "dumpling",
            "recipe",
            "cake",
            "spoon",
            "cheese",
            "noodle dish",
            "salad bowl",
            "butter",
            "stove",
            "stew",
            "pancake",
            "knife",
            "pepper mill",
        ),
        ("cooks", "tastes", "bakes", "stirs", "looks after", "buys"),
    ),
    "music": (
        (
            "violin",
            "piano",
            "song",
            "drum",
            "orchestra",
            "concert",
            "melody",
            "choir",
            "guitar",
            "trumpet",
            "cello",
            "opera",
            "waltz",
            "flute",
            "chord",
            "string quartet",
            "organ",
            "rhythm",
            "singer",
            "symphony",
        ),
        ("plays", "listens to", "tunes", "practises", "photographs", "loves"),
    ),
    "railway": (
        (
            "train",
            "platform",
            "ticket",
            "station",
            "locomotive",
            "timetable",
            "carriage",
            "tunnel",
            "signal",
            "track",
            "conductor",
            "sleeping car",
            "level crossing",
            "express",
            "tram",
            "bridge",
            "dining car",
            "whistle",
            "waiting room",
            "engine driver",
        ),
        ("waits for", "boards", "misses", "repairs", "photographs", "loves"),
    ),
}
FORMS = (
    "{who} {does} the {how} {thing} {when}",
    "{when}, {who} {does} a {how} {thing}",
    "the {thing} was {how} {when}, says {who}",
    "{who} asks about the {thing} {when}",
    "is the {how} {thing} near the {other} {when}?",
    "without the {thing} {who} is lost {when}",
    "{who} {does} the {thing} and forgets the {other}",
)


def main() -> None:
    """Writes the table."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("text", "label"))
    rows = [(text, topic) for topic in TOPICS for text in sentences(topic)]
    writer.writerows(rows[place] for place in shuffled(len(rows), SEED))
    make_folder(TARGET.parent)
    write_atomic(TARGET, out.getvalue().encode())
    bag = counted()
    data = {"validation": bag.validation, "test": bag.test, "told": bag.remark()}
    write_atomic(TARGET.with_name("bag-of-words.json"), json.dumps(data, indent=1).encode())


def counted() -> Bag:
    """What a bag of words gets right on the splits that the program uses."""
    texts, _, places, labels = text_sample()
    parts = {split: [texts[place] for place in where] for split, where in places.items()}
    found = bag_of_words(parts, {split: labels[where].tolist() for split, where in places.items()})
    assert found is not None
    return found


def sentences(topic: str) -> list[str]:
    """EACH different sentences about one topic."""
    things, verbs = TOPICS[topic]
    found: dict[str, None] = {}
    number = 0
    while len(found) < EACH:
        lists = (FORMS, WHO, verbs, HOW, things, WHEN, things)
        form, who, does, how, thing, when, other = (
            words[shuffled(len(words), SEED + 31 * number + 7919 * place + len(topic) * 104729)[0]]
            for place, words in enumerate(lists)
        )
        number += 1
        if thing != other:
            text = form.format(who=who, does=does, how=how, thing=thing, when=when, other=other)
            found[f"{text[0].upper()}{text[1:]}{'' if text.endswith('?') else '.'}"] = None
    return list(found)


if __name__ == "__main__":
    main()
