"""A small lesson as a teacher would write it, for the tests to change."""

LESSON = """+++
id = "tiny"
language = "en"
title = "A tiny lesson"
question = "How much can go?"
minutes = 5
remember = ["Measure it."]

[paper]
authors = "A. Author"
year = 2017
title = "A paper"
url = "https://arxiv.org/abs/1608.08710"
+++

A network is cut. It is right on {tiny[0.5].prune.accuracy}.

```recipe
name = "tiny"
dataset = "digits"
backbone = "resnet8"
weights = "none"
image_size = 8
labels = 300

[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 2

[[steps]]
stage = "prune"
method = "l2"
ratio = 0.5
epochs = 0
```

```predict
question = "How good is it then?"
about = "tiny[0.5].prune.accuracy"
low = 0
high = 100
```

```knob
recipes = ["tiny"]
names = ["cut"]
option = "steps.1.ratio"
values = [0.25, 0.5]
start = 0.5
```

```chart
kind = "sweep"
show = ["prune.accuracy"]
```

```claim
sentence = "It gets smaller."
holds = ["tiny[0.5].prune.params < tiny[0.5].transfer.params"]
```

```question
question = "What is smaller?"

[[answer]]
text = "The file"
right = true
why = "Channels were removed."

[[answer]]
text = "The dataset"
right = false
why = "The images stay."
```
"""


def line_of(text: str, part: str) -> int:
    """The number of the first line with that part, from 1."""
    return next(n for n, row in enumerate(text.split("\n"), 1) if part in row)
