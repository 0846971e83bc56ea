"""What the network that comes with the program says of its ten pictures, softened at a temperature."""

from __future__ import annotations

import numpy as np

from core.lessons.references import Look, Reference
from dashboard.charts import effects
from dashboard.design.effects import known_effects


def picture_look(image: int) -> Look:
    """Looks up `picture[TEMPERATURE].top` and `.second` on one of the ten pictures."""

    def look(wanted: Reference) -> float | None:
        if not wanted.is_picture:
            return None
        logits = known_effects()["logits"][image].astype(np.float64)
        shares = np.sort(effects.softened(logits, wanted.temperature))
        return float(shares[-1] if wanted.metric == "top" else shares[-2])

    return look
