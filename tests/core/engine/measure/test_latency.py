from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.engine.context import CancelledError
from core.engine.export.graph import write_graph
from core.engine.measure.latency import Timing, inside_noise, ratio, spread, time_files
from core.engine.model import Model


def timing(milliseconds: list[float], wall: float = 1.0, processor: float = 1.0) -> Timing:
    return Timing(tuple(milliseconds), wall, processor, 1)


def test_median_and_95th_percentile_are_numpys() -> None:
    runs = list(np.random.default_rng(0).gamma(2.0, size=301))
    found = timing(runs).latency()
    assert found.p50 == pytest.approx(float(np.median(runs)))
    assert found.p95 == pytest.approx(float(np.percentile(runs, 95)))
    assert (found.n, found.batch, found.runtime, found.threads) == (301, 1, "onnxruntime", 1)


@pytest.mark.parametrize(("wall", "noisy"), [(1.0, False), (1.14, False), (1.16, True), (3.0, True)])
def test_a_busy_machine_is_seen(wall: float, noisy: bool) -> None:
    assert timing([1.0] * 30, wall=wall, processor=1.0).latency().noisy is noisy


def test_a_ratio_is_that_of_the_medians() -> None:
    assert ratio(timing([4.0, 4.0, 100.0]), timing([2.0, 1.0, 2.0])) == 2.0


def test_a_ranking_inside_the_noise_is_seen() -> None:
    wide = timing([1.0, 2.0, 3.0, 4.0, 5.0])
    assert inside_noise(wide, timing([2.9, 3.1, 3.2]))
    assert inside_noise(timing([2.9, 3.1, 3.2]), wide)
    assert not inside_noise(wide, timing([9.0, 9.1, 9.2]))


@pytest.mark.thorough
def test_every_file_gets_its_turns(make_model: Callable[..., Model], tmp_path: Path) -> None:
    files = {}
    for width in (4, 8):
        files[str(width)] = tmp_path / f"{width}.onnx"
        write_graph(make_model(width), files[str(width)])
    found = time_files(files, threads=1, seconds=0.1)
    assert set(found) == {"4", "8"}
    for one in found.values():
        assert len(one.milliseconds) >= 30
        assert min(one.milliseconds) > 0
        assert sum(one.milliseconds) / 1000 == pytest.approx(one.wall, rel=0.01)


@pytest.mark.thorough
def test_it_can_be_stopped(make_model: Callable[..., Model], tmp_path: Path) -> None:
    write_graph(make_model(4), tmp_path / "a.onnx")

    def stop() -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        time_files({"a": tmp_path / "a.onnx"}, 1, stop=stop)


def in_turns(*turns: list[float]) -> Timing:
    return Timing(tuple(one for turn in turns for one in turn), 1.0, 1.0, 1, turns=tuple(map(len, turns)))


def test_the_spread_of_a_ratio_is_that_of_the_turns() -> None:
    slow = in_turns([4.0, 4.0], [6.0], [8.0, 8.0, 8.0], [10.0], [12.0])
    fast = in_turns([2.0], [2.0], [2.0], [2.0, 2.0], [2.0])
    assert spread(slow, fast) == (3.0, 5.0), "the quartiles of 2, 3, 4, 5, 6"


def test_of_too_few_turns_or_none_no_spread_is_told() -> None:
    assert spread(timing([1.0, 2.0]), timing([1.0])) is None
    assert spread(in_turns([1.0], [1.0], [1.0]), in_turns([1.0], [1.0], [1.0])) is None
    assert spread(in_turns([1.0], [1.0]), timing([1.0])) is None
