"""The wheel and the sdist hold every file that the program needs, and an installed wheel works from any folder."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from PIL import Image
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from core import assets, cli
from core.assets import ASSETS, shipped
from core.commands.program import WRONG_INPUT
from core.errors import UserError
from tests.commands import put_in_place

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("core/", "dashboard/", "assets/")
RECIPE = """
dataset = "digits"
backbone = "resnet8"
image_size = 8
labels = 200

[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 1
"""
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The files of the repository, new ones too."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git repository")
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in told.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def built(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A wheel and an sdist of the repository's files, and a wheel of the sdist."""
    folder = tmp_path_factory.mktemp("built")
    for name in tracked:
        if name.startswith(ROOMS) or "/" not in name:
            (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / "tree" / name)
    sdist = build("sdist", folder / "tree", folder / "a")
    with tarfile.open(sdist) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    (source,) = (folder / "unpacked").iterdir()
    wheel = build("wheel", folder / "tree", folder / "b")
    return {"sdist": sdist, "wheel": wheel, "again": build("wheel", source, folder / "c")}


def build(kind: str, tree: Path, into: Path) -> Path:
    into.mkdir()
    words = [sys.executable, "-c", BUILD, f"build_{kind}", str(into)]
    done = subprocess.run(words, cwd=tree, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return into / done.stdout.splitlines()[-1]


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as packed:
        names = [name for name in packed.namelist() if ".dist-info/" not in name]
        return {name: packed.read(name) for name in names}


def test_the_wheel_holds_every_file_of_the_rooms(built: dict[str, Path], tracked: list[str]) -> None:
    wanted = {name for name in tracked if name.startswith(ROOMS)}
    assert {"assets/recipes/demo.toml", "core/catalog.json", "dashboard/.streamlit/config.toml"} <= wanted
    found = contents(built["wheel"])
    assert set(found) == wanted
    assert all(found[name] == (ROOT / name).read_bytes() for name in wanted)


def test_the_sdist_builds_the_same_wheel(built: dict[str, Path]) -> None:
    assert contents(built["again"]) == contents(built["wheel"])


def test_other_people_of_the_machine_may_read_what_is_installed(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as packed:
        assert all((info.external_attr >> 16) & 0o444 == 0o444 for info in packed.infolist())


# an installation that lacks something


def test_a_file_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_in_place(monkeypatch, "RECIPES", tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo", "--json", "--workspace", str(tmp_path / "w")])
    assert ended.value.code == WRONG_INPUT
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert error["code"] == "incomplete_installation"
    assert str(tmp_path / "demo.toml") in error["given"]
    assert "pip install" in error["fix"]
    assert not (tmp_path / "w").exists()


def test_what_is_there_is_given_as_it_is(tmp_path: Path) -> None:
    assert shipped(assets.LOGO) == ASSETS / "logo.png"
    with pytest.raises(UserError, match="Install Condenser again"):
        shipped(tmp_path)


# installed


@pytest.fixture(scope="module")
def installed(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel in it; everything else is borrowed from ours."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip())
    words = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--quiet", "--no-index"]
    subprocess.run([*words, str(built["wheel"])], check=True, cwd="/", timeout=120)
    (site / "zz_borrowed.pth").write_text("\n".join(p for p in sys.path if "site-packages" in p) + "\n")
    return home / "bin"


def say(installed: Path, *words: str, cwd: Path | str, workspace: Path, code: int = 0) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(workspace.parent), "CONDENSER_WORKSPACE": str(workspace)}
    command = [str(installed / "condenser"), *words]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["/", "else where"])
def test_an_installed_wheel_works_from_any_folder(installed: Path, tmp_path: Path, folder: str) -> None:
    """Lists, checks, profiles, imports, runs, exports and predicts; nothing of the repository is seen."""
    workspace, cwd = tmp_path / "w", tmp_path / folder  # an absolute path stays one
    (tmp_path / "else where" / "assets" / "recipes").mkdir(parents=True)  # called as one of ours
    code = "import assets, core, core.run_files.samples as s; print(core.__file__, assets.__file__, len(s.samples()))"
    seen = subprocess.run([installed / "python", "-P", "-c", code], cwd=cwd, capture_output=True, text=True, check=True)
    *places, samples = seen.stdout.split()
    assert all(str(installed.parent) in place for place in places)
    assert int(samples) >= 10

    def told(*words: str) -> Any:
        return json.loads(say(installed, *words, "--json", cwd=cwd, workspace=workspace))

    assert len(told("list", "backbones")) > 80
    assert told("profile", "resnet18")["params"] == 11_689_512
    for shade, name in ((40, "dark"), (200, "light")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (9 + number, 8), (shade, shade, shade + number)).save(
                tmp_path / "photos" / name / f"{number}.png"
            )
    assert told("import", str(tmp_path / "photos"), "--name", "shades")["images"] == 24
    recipe = tmp_path / "small.toml"
    recipe.write_text(RECIPE)
    assert told("check", str(recipe))["ok"]
    done = told("run", str(recipe))
    assert done["status"] == "finished"
    assert "predict.py" in told("export", done["run"], "--out", str(tmp_path / "b"))["files"]
    photo = str(tmp_path / "photos" / "dark" / "1.png")
    words = [str(installed / "python"), str(tmp_path / "b" / "predict.py"), photo]
    answer = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=True).stdout
    assert json.loads(answer)["labels"] == [str(digit) for digit in range(10)]


@pytest.mark.slow
def test_an_installed_wheel_serves_its_pages(installed: Path, tmp_path: Path) -> None:
    """Every page draws something, with the words, the style, the charts' script and the settings of the wheel."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    words = [str(installed / "condenser"), "dashboard", "--json", "--no-browser", "--workspace", str(tmp_path / "w")]
    with subprocess.Popen(words, cwd="/", env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["port"]
            for path in ("/", "/design", "/live", "/tradeoffs", "/plotly/plotly.min.js"):
                with urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as page:
                    assert page.status == 200
            drawn = [name for name in ("home", "design", "live", "tradeoffs") if texts(port, name)]
            assert drawn == ["home", "design", "live", "tradeoffs"]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
            say(installed, "stop", cwd="/", workspace=tmp_path / "w")


def texts(port: int, page: str) -> list[str]:
    """What a page's script draws as text; raises AssertionError where it ends in a fault of ours."""
    asked = BackMsg()
    asked.rerun_script.page_name = page
    drawn: list[str] = []
    url, origin = f"ws://127.0.0.1:{port}/_stcore/stream", Origin(f"http://127.0.0.1:{port}")
    with connect(url, origin=origin, subprotocols=[Subprotocol("streamlit")], proxy=None, open_timeout=60) as line:
        line.send(asked.SerializeToString())
        while True:
            told = ForwardMsg()
            data = line.recv(timeout=60)
            assert isinstance(data, bytes)
            told.ParseFromString(data)
            element = told.delta.new_element
            kind = element.WhichOneof("type") if told.HasField("delta") else None
            assert kind != "exception"
            if kind == "alert":
                assert "on our side" not in element.alert.body
            if kind in ("heading", "markdown"):
                drawn.append(element.heading.body or element.markdown.body)
            if told.HasField("script_finished"):
                return drawn


@pytest.mark.thorough
def test_the_syntax_is_that_of_the_oldest_python_we_promise(tracked: list[str]) -> None:
    for name in tracked:
        if name.endswith(".py"):
            ast.parse((ROOT / name).read_text(encoding="utf-8"), feature_version=(3, 11))
