"""What may be at work at once: cores that are set, and when those that wait begin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from core.commands.slots import read_cores
from core.errors import UserError
from core.hardware.machine import gpus, machine
from core.processes import slots as kept
from core.processes.slots import FILE, Need, Slots, need_of, set_slots, slots, starts
from core.workspace import Workspace

TWO = Slots(cores=2, there=2)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open_or_create(tmp_path / "w")


def test_all_cores_of_the_machine_unless_another_number_is_set(workspace: Workspace) -> None:
    there = machine().cores
    assert slots(workspace) == Slots(there, there, gpus())
    assert slots(workspace).is_default
    assert set_slots(workspace, 3).cores == 3
    assert slots(workspace).cores == 3
    (workspace.path / FILE).write_bytes(b"damaged")
    assert slots(workspace).is_default
    set_slots(workspace, 3)
    assert set_slots(workspace, None).is_default
    assert not (workspace.path / FILE).exists()


@pytest.mark.parametrize("given", ["0", "1025", "-1", "two", "1.5", "", "²", "9" * 5000])
def test_a_number_that_cannot_be_meant_is_refused(workspace: Workspace, given: str) -> None:
    with pytest.raises(UserError) as caught:
        set_slots(workspace, read_cores(given))
    assert caught.value.code == "out_of_range"
    assert not (workspace.path / FILE).exists()
    assert read_cores("auto") is None


def test_a_run_takes_what_its_recipe_says(workspace: Workspace) -> None:
    text = 'dataset = "digits"\nbackbone = "resnet8"\n{}[[steps]]\nstage = "transfer"\nmethod = "linear_probe"\n'

    def needed(options: str, cards: int = 0) -> Need:
        return need_of(workspace.create_run(text.format(options)), cards)

    assert needed("") == Need(1)
    assert needed("threads = 3\n") == Need(3)
    assert needed("", cards=1) == Need(1, gpu=True), "the device is chosen automatically"
    assert needed('device = "cpu"\n', cards=1) == Need(1)
    assert need_of(workspace.create_run("no recipe"), 1) == Need(1)


def test_nobody_waits_for_ever_and_nobody_oversubscribes() -> None:
    assert TWO.admits(Need(64), []), "alone it may take more than there are"
    assert TWO.admits(Need(1), [Need(1)])
    assert not TWO.admits(Need(2), [Need(1)])
    assert not TWO.admits(Need(1), [Need(64)])
    cards = Slots(cores=8, there=8, gpus=1)
    assert not cards.admits(Need(1, gpu=True), [Need(1, gpu=True)])
    assert cards.admits(Need(1), [Need(1, gpu=True)])
    assert Slots(8, 8, 3).free_gpu([0, 2]) == 1


@pytest.mark.parametrize(
    ("ahead", "going", "expected"),
    [
        ([(Need(1), 5.0), (Need(1), 5.0), (Need(1), 5.0)], [], [0.0, 0.0, 5.0]),
        ([(Need(2), 5.0), (Need(1), 5.0)], [(Need(1), 3.0)], [3.0, 8.0]),
        ([(Need(1), 9.0), (Need(2), 1.0), (Need(1), 1.0)], [(Need(1), 4.0)], [0.0, 9.0, 10.0]),
        ([(Need(1), None), (Need(1), 2.0), (Need(1), 2.0)], [(Need(1), 4.0)], [0.0, None, None]),
        ([(Need(1), 1.0)], [(Need(2), None)], [None]),
        ([], [(Need(2), None)], []),
    ],
)
def test_when_those_who_wait_begin(
    ahead: Sequence[kept.Lasting], going: Sequence[kept.Lasting], expected: list[float | None]
) -> None:
    assert starts(ahead, going, TWO) == expected
