"""Which devices may be here: nothing is called missing that only torch can find."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from core.hardware import machine


@pytest.fixture
def linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Linux machine without any GPU, whose torch was built with CUDA; its files lie in the folder."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "nvidia").mkdir()
    monkeypatch.setattr(machine, "NVIDIA", tmp_path / "nvidia")
    monkeypatch.setattr(machine, "DEVICES", tmp_path / "dev")
    monkeypatch.setattr(machine, "_version", lambda package: "2.9.0")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


def install(linux: Path, cards: int) -> None:
    for number in range(cards):
        folder = linux / "nvidia" / f"0000:0{number}"
        folder.mkdir()
        (folder / "information").write_text("Model: \t H200\n")


def test_without_a_driver_there_is_no_cuda(linux: Path) -> None:
    assert machine.devices() == ("cpu",)
    install(linux, 1)
    assert machine.devices() == ("cuda", "cpu")


@pytest.mark.parametrize("name", ["dxg", "kfd", "nvmap", "nvidia0"])
def test_a_gpu_that_only_torch_can_find_is_not_called_missing(name: str, linux: Path) -> None:
    (linux / "dev" / "nvidiactl").touch()
    assert machine.devices() == ("cpu",), "that is no GPU"
    (linux / "dev" / name).touch()
    assert machine.devices() == ("cuda", "cpu")


def test_a_torch_for_the_cpu_alone_finds_none(linux: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(linux, 1)
    monkeypatch.setattr(machine, "_version", lambda package: "2.9.0+cpu")
    assert machine.devices() == ("cpu",)


def test_a_mac_has_mps_and_no_cuda(linux: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert machine.devices() == ("mps", "cpu")


@pytest.mark.parametrize(
    ("visible", "count"),
    [
        (None, 2),
        ("0,1", 2),
        ("1", 1),
        ("7", 0),
        ("0,7,1", 1),
        ("-1", 0),
        ("", 0),
        ("GPU-5ebe9e27,GPU-1", 2),
    ],
)
def test_a_gpu_that_does_not_exist_is_none(
    visible: str | None, count: int, linux: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA takes the devices before the first that is not there."""
    install(linux, 2)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.gpus() == count
    assert ("cuda" in machine.devices()) == (count > 0)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("AMD EPYC", "AMD EPYC (family 25, model 17)"),
        ("AMD EPYC 9354 32-Core Processor", "AMD EPYC 9354 32-Core Processor"),
        ("Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz", "Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz"),
        ("Intel(R) Xeon(R) Processor @ 2.60GHz", "Intel(R) Xeon(R) Processor @ 2.60GHz (family 25, model 17)"),
        ("QEMU Virtual CPU version 2.5+", "QEMU Virtual CPU version 2.5+ (family 25, model 17)"),
    ],
)
def test_a_name_that_several_processors_share_is_made_more_precise(
    name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = f"processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: {name}\n\n"
    (tmp_path / "cpuinfo").write_text(core * 2)
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    assert machine.processor() == told


def test_a_processor_without_a_name_has_that_of_its_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nBogoMIPS\t: 108.00\n\n")
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    assert machine.processor() == platform.machine()
