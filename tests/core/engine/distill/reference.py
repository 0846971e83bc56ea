"""Every loss once more, as its paper writes it: plain loops over float64 numbers, slow and without torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def softmax(row: Iterable[float], t: float = 1.0) -> list[float]:
    values = [v / t for v in row]
    top = max(values)
    powers = [math.exp(v - top) for v in values]
    return [p / sum(powers) for p in powers]


def divergence(p: Sequence[float], q: Sequence[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def kd(student: Array, teacher: Array, t: float) -> float:
    found = [divergence(softmax(r, t), softmax(s, t)) for s, r in zip(student, teacher, strict=True)]
    return t * t * float(np.mean(found))


def dkd(student: Array, teacher: Array, target: Array, alpha: float, beta: float, t: float) -> float:
    """Zhao et al. 2022, equations 5 and 7: b = [p_t, 1 − p_t], and p̂ over the other classes alone."""
    total = 0.0
    for s, r, c in zip(student, teacher, target, strict=True):
        q, p = softmax(s, t), softmax(r, t)
        right = int(c)
        binary = divergence([p[right], 1 - p[right]], [q[right], 1 - q[right]])
        others = [i for i in range(len(p)) if i != right]
        among = divergence([p[i] / (1 - p[right]) for i in others], [q[i] / (1 - q[right]) for i in others])
        total += alpha * binary + beta * among
    return t * t * total / len(student)


def pearson(a: Sequence[float], b: Sequence[float]) -> float:
    ma, mb = sum(a) / len(a), sum(b) / len(b)
    above = sum((x - ma) * (y - mb) for x, y in zip(a, b, strict=True))
    below = math.sqrt(sum((x - ma) ** 2 for x in a) * sum((y - mb) ** 2 for y in b))
    return above / below


def dist(student: Array, teacher: Array, beta: float, gamma: float, tau: float) -> float:
    """Huang et al. 2022, equations 7 to 9."""
    q, p = [softmax(s, tau) for s in student], [softmax(r, tau) for r in teacher]
    inter = np.mean([1 - pearson(a, b) for a, b in zip(q, p, strict=True)])
    columns = zip(zip(*q, strict=True), zip(*p, strict=True), strict=True)
    intra = np.mean([1 - pearson(a, b) for a, b in columns])
    return float(tau * tau * (beta * inter + gamma * intra))


def logit_std(student: Array, teacher: Array, t: float) -> float:
    """Sun et al. 2024, algorithm 1: Z-scores, here with the unbiased deviation, then softened probabilities."""

    def scores(row: Array) -> list[float]:
        mean = sum(row) / len(row)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in row) / (len(row) - 1))
        return [(v - mean) / deviation for v in row]

    return kd(np.array([scores(s) for s in student]), np.array([scores(r) for r in teacher]), t)


def fitnet(student: list[Array], teacher: list[Array]) -> float:
    """Romero et al. 2015, equation 3 without a regressor, averaged over the numbers of a stage."""
    total = 0.0
    for mine, theirs in zip(student, teacher, strict=True):
        differences = [(a - b) ** 2 for a, b in zip(mine.ravel(), theirs.ravel(), strict=True)]
        total += sum(differences) / len(differences)
    return float(total)


def pooled(feature: Array, size: int) -> Array:
    """Averages over size × size equal windows of [N, C, H, W]."""
    n, c, h, w = feature.shape
    out = np.zeros((n, c, size, size))
    for i in range(size):
        for j in range(size):
            window = feature[:, :, i * h // size : (i + 1) * h // size, j * w // size : (j + 1) * w // size]
            out[:, :, i, j] = window.mean((2, 3))
    return out


def attention(student: list[Array], teacher: list[Array], p: int) -> float:
    """Zagoruyko & Komodakis 2017, section 3.1, in the form of their code: mean over channels, mean square."""
    total = 0.0
    for pair in zip(student, teacher, strict=True):
        side = min(feature.shape[2] for feature in pair)
        maps = []
        for feature in (pooled(f, side) for f in pair):
            rows = []
            for image in feature:
                energy = [np.mean([abs(v) ** p for v in place]) for place in image.reshape(len(image), -1).T]
                rows.append([e / math.sqrt(sum(x * x for x in energy)) for e in energy])
            maps.append(rows)
        total += float(np.mean([(a - b) ** 2 for x, y in zip(*maps, strict=True) for a, b in zip(x, y, strict=True)]))
    return total


def similarity(student: list[Array], teacher: list[Array]) -> float:
    """Tung & Mori 2019, equations 1 to 4: rows by their L2 norm, Frobenius norm over b²."""

    def gram(feature: Array) -> list[list[float]]:
        flat = [image.ravel() for image in feature]
        rows = [[float(sum(x * y for x, y in zip(a, b, strict=True))) for b in flat] for a in flat]
        return [[v / math.sqrt(sum(x * x for x in row)) for v in row] for row in rows]

    total = 0.0
    for mine, theirs in zip(student, teacher, strict=True):
        a, b = gram(mine), gram(theirs)
        total += sum((x - y) ** 2 for r, s in zip(a, b, strict=True) for x, y in zip(r, s, strict=True)) / len(a) ** 2
    return total


def huber(x: float, y: float) -> float:
    return 0.5 * (x - y) ** 2 if abs(x - y) <= 1 else abs(x - y) - 0.5


def rkd(student: Array, teacher: Array, distance: float, angle: float) -> float:
    """Park et al. 2019, equations 4 to 9, each mean over all ordered tuples, the equal ones too."""
    n = len(student)

    def distances(e: Array) -> Array:
        found = np.array([[math.sqrt(sum((a - b) ** 2)) for b in e] for a in e])
        return np.asarray(found / found[found > 0].mean())

    def cosine(e: Array, i: int, j: int, k: int) -> float:
        a, b = e[j] - e[i], e[k] - e[i]
        below = math.sqrt(sum(a * a)) * math.sqrt(sum(b * b))
        return float(sum(a * b) / below) if below else 0.0

    mine, theirs = distances(student), distances(teacher)
    l_d = np.mean([huber(mine[i, j], theirs[i, j]) for i in range(n) for j in range(n)])
    triples = [(i, j, k) for i in range(n) for j in range(n) for k in range(n)]
    l_a = np.mean([huber(cosine(student, *t), cosine(teacher, *t)) for t in triples])
    return float(distance * l_d + angle * l_a)


def pkt(student: Array, teacher: Array) -> float:
    """Passalis & Tefas 2018, equations 7, 8 and 10, the divergence averaged over all pairs as in their code."""

    def probabilities(e: Array) -> list[list[float]]:
        length = [math.sqrt(sum(row * row)) for row in e]
        kernel = [
            [(sum(a * b) / (x * y) + 1) / 2 for b, y in zip(e, length, strict=True)]
            for a, x in zip(e, length, strict=True)
        ]
        return [[v / sum(row) for v in row] for row in kernel]

    rows = zip(probabilities(teacher), probabilities(student), strict=True)
    return sum(divergence(p, q) for p, q in rows) / len(student) ** 2


def vid(mean: list[Array], teacher: list[Array], variance: Any) -> float:
    """Ahn et al. 2019, equation 5: log σ + (t − μ)² / 2σ², averaged over the numbers of a stage."""
    total = 0.0
    for mine, theirs in zip(mean, teacher, strict=True):
        pairs = zip(mine.ravel(), theirs.ravel(), strict=True)
        total += float(np.mean([math.log(math.sqrt(variance)) + (t - m) ** 2 / (2 * variance) for m, t in pairs]))
    return total
