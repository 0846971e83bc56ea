"""The commands of README.md, run as they stand there, in a folder laid out as a reader's would be."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torchvision

from core.processes.dashboard import stop_dashboard
from core.processes.workers import stop_supervisor
from core.workspace import Workspace
from tests.photos import make_photos

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of README.md in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.M | re.S)


def lines(block: str) -> list[str]:
    """The commands of a block, without their comments."""
    return [command for line in block.splitlines() if (command := re.split(r"\s{2,}#", line)[0].strip())]


COMMANDS = [line for block in blocks("") for line in lines(block) if line.startswith(".venv/bin/condenser")]
SENTENCES = re.findall(r"`(condenser [^`]*)`", README)


def reader(folder: Path) -> Path:
    """What a reader has: an installed checkout, the recipes of README.md, photos, a table of texts and a network."""
    (folder / ".venv").mkdir()
    (folder / ".venv/bin").symlink_to(Path(sys.prefix) / "bin")
    compress, recipe = blocks("toml")
    (folder / "my-recipe.toml").write_text(recipe)
    (folder / "compress.toml").write_text(compress)
    classes = sorted(home.name for home in make_photos(folder / "photos", count=48).iterdir())
    (folder / "labels.txt").write_text("\n".join(classes))
    torch.save(torchvision.models.resnet18(num_classes=len(classes)).state_dict(), folder / "best.pth")
    rows = (f"{word} number {n} arrived,{word}" for word in ("invoice", "parcel") for n in range(20))
    (folder / "mails.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    return folder


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "CONDENSER_WORKSPACE": str(folder / "workspace"), "BROWSER": "true", "COLUMNS": "200"}


def shell(command: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_there_is_something_to_run() -> None:
    assert len(COMMANDS) >= 8
    assert len(blocks("toml")) == 2


@pytest.mark.thorough
@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_command_in_a_sentence_exists(sentence: str, tmp_path: Path) -> None:
    """With its words in capitals left out, its help knows every flag that the sentence names."""
    words = [word for word in sentence.split()[1:] if not word.isupper()]
    names = [word for word in words if not word.startswith("-")][:1]
    shown = shell(" ".join([str(Path(sys.prefix) / "bin/condenser"), *names, "--help"]), tmp_path)
    assert all(flag in shown for flag in words if flag.startswith("--") and flag != "--help"), shown


@pytest.mark.slow
@pytest.mark.timeout(1800)  # two trainings in the foreground, as a reader would wait for them
def test_the_commands_of_the_readme_in_order(tmp_path: Path) -> None:
    folder = reader(tmp_path)
    for line in COMMANDS:
        shell(line.replace("RUN", latest_run(folder)) if "RUN" in line else line, folder)
    assert (folder / "bundle/predict.py").is_file()


def latest_run(folder: Path) -> str:
    return Workspace.open_to_read(folder / "workspace").runs()[0].id


@pytest.mark.slow
def test_the_two_commands(tmp_path: Path) -> None:
    """Cloned, `make run` opens a dashboard, and Ctrl-C ends it. What is installed is borrowed from this machine."""
    clone, enter = blocks("")[0].splitlines()[0].split(" && ")
    assert enter == "cd condenser"
    (tmp_path / "origin").mkdir()
    (tmp_path / "origin/condenser").symlink_to(ROOT)
    shell(clone.replace("<this repository>", "origin/condenser"), tmp_path)
    folder = tmp_path / "condenser"
    (folder / ".venv").mkdir()
    (folder / ".venv/bin").symlink_to(Path(sys.prefix) / "bin")
    (folder / ".venv/.installed").touch()
    workspace = Workspace.open_or_create(folder / "workspace")
    running = subprocess.Popen(
        blocks("")[0].splitlines()[1],
        shell=True,
        cwd=folder,
        env=environment(folder),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        assert "http://127.0.0.1:" in said(running, "http://", seconds=300)
        os.killpg(running.pid, signal.SIGINT)
        running.wait(60)
    finally:
        stop_dashboard(workspace)
        stop_supervisor(workspace)
        assert running.stdout
        running.stdout.close()


def said(process: subprocess.Popen[str], word: str, seconds: float) -> str:
    """What a process printed until a word came, or until it ended or the seconds were over."""
    assert process.stdout
    until, heard = time.monotonic() + seconds, ""
    while word not in heard and time.monotonic() < until:
        if select.select([process.stdout], [], [], 1)[0]:
            line = process.stdout.readline()
            heard += line
            if not line:
                break
    return heard
