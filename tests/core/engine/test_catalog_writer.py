"""The generator: a good method file becomes an entry with no other edit, a broken one stops it by name."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

import core.engine
from core.catalog import Catalog, load_catalog
from core.engine import catalog_writer
from core.engine.catalog_writer import BrokenMethod, stage_entries
from core.options import Option, Words

BASE = """
from core.engine.method import Method, Saved, knob

class {base}(Method):
    shared: int = knob(1, "S", "h", zh=("共", "助"), ge=0, le=9)

    def save(self, model, path, bench):
        return Saved()
"""
GOOD = """
from core.engine.{stage} import {base}
from core.engine.method import knob
from core.options import Words

class Kind({base}):
    title = Words("Kind", "善")
    summary = Words("Is kind.", "善良。")
    source = "Hinton 2015"
    temperature: float = knob(4, "Temperature", "Softens.", zh=("温度", "软化。"), ge=1, le=50, unit="K")
    mode: str = knob("a", "Mode", "Which.", zh=("模式", "哪个。"), choices=("a", "b"), names={{"a": ("one", "甲")}})
    most: int = knob(0, "Most", "At most.", zh=("最多", "至多。"), ge=0, le=9, names={{0: ("all", "全部")}}, usual=5)
"""
numbers = count()
Write = Callable[[str], str]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a stage folder with one method file `kind.py`, and returns the stage's name."""

    def write(method: str) -> str:
        name = f"sample{next(numbers)}"
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text(BASE.format(base=name.capitalize()), encoding="utf-8")
        (folder / "kind.py").write_text(method.format(stage=name, base=name.capitalize()), encoding="utf-8")
        importlib.invalidate_caches()
        return name

    monkeypatch.setattr(core.engine, "__path__", [*core.engine.__path__, str(tmp_path)])
    return write


def test_one_file_is_one_entry(stage: Write) -> None:
    (entry,) = stage_entries(stage(GOOD)).items()
    name, method = entry
    assert name == "kind"
    assert (method.title, method.source) == (Words("Kind", "善"), "Hinton 2015")
    assert [option.name for option in method.options] == ["shared", "temperature", "mode", "most"]
    temperature = method.options[1]
    assert (temperature.default, type(temperature.default), temperature.unit) == (4.0, float, "K")
    assert (temperature.minimum, temperature.maximum) == (1, 50)
    assert method.options[2].choices == ("a", "b")
    assert method.options[2].name_of("a") == Words("one", "甲")
    again = Option.from_json(json.loads(json.dumps(method.options[3].to_json())))
    assert again == method.options[3]
    assert (again.name_of(0), again.name_of(5), again.usual) == (Words("all", "全部"), None, 5)


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ("knob(4,", "knob(0.5,", "default is refused"),
        ('knob("a",', 'knob("c",', "default is refused"),
        ("ge=1, le=50", "ge=50, le=1", "no value"),
        ('"温度"', '" "', "Chinese"),
        ('"全部"', '""', "name of 0: write it in English and in Chinese"),
        ("names={{0:", "names={{10:", "its named value 10 is refused"),
        ("usual=5", "usual=50", "its usual value 50 is refused"),
        ('"Softens."', '""', "English"),
        ('summary = Words("Is kind.", "善良。")', "", "summary"),
        ('title = Words("Kind", "善")', 'title = Words("Kind", "")', "title"),
        ("temperature: float", "stage: float", "stage"),
        (
            'float = knob(4, "Temperature", "Softens.", zh=("温度", "软化。"), ge=1, le=50, unit="K")',
            "float = 4.0",
            "knob",
        ),
        ("class Kind", "class Other({base}):\n    pass\n\nclass Kind", "one file, one method"),
    ],
)
def test_a_broken_method_stops_it_by_name(stage: Write, good: str, bad: str, told: str) -> None:
    assert good in GOOD
    with pytest.raises(BrokenMethod, match="kind") as caught:
        stage_entries(stage(GOOD.replace(good, bad) + "\n"))
    assert told in str(caught.value)


def test_a_file_that_does_not_import_stops_it(stage: Write) -> None:
    with pytest.raises(SyntaxError):
        stage_entries(stage(GOOD.replace("class Kind", "clas Kind")))
    with pytest.raises(ModuleNotFoundError):
        stage_entries(stage("import no_such_library\n"))


def test_an_empty_stage_stops_it(stage: Write) -> None:
    with pytest.raises(BrokenMethod, match="no method"):
        stage_entries(stage("# only a tool\n"))


def test_a_stage_without_its_base_class_stops_it(stage: Write, tmp_path: Path) -> None:
    name = stage(GOOD)
    (tmp_path / name / "__init__.py").write_text("", encoding="utf-8")
    with pytest.raises((AttributeError, ImportError)):
        stage_entries(name)


def test_check_tells_stale_from_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "catalog.json"
    monkeypatch.setattr(catalog_writer, "collect", lambda: Catalog(backbones={"resnet8": {"params": 78_000}}))
    assert catalog_writer.main(["--check"], path) == 1
    assert not path.exists()
    assert catalog_writer.main([], path) == 0
    assert catalog_writer.main(["--check"], path) == 0
    assert load_catalog(path).backbones == {"resnet8": {"params": 78_000}}
    path.write_text(path.read_text(encoding="utf-8").replace("78000", "79000"), encoding="utf-8")
    capsys.readouterr()
    assert catalog_writer.main(["--check"], path) == 1
    told = capsys.readouterr().err
    assert "make catalog" in told
    assert "79000" in told


def test_facts_of_this_machine_stay_out() -> None:
    facts = {"name": "fashion-mnist", "classes": 10, "where": "installed", "bytes": 0, "at_hand": True}
    elsewhere = facts | {"where": "download", "bytes": 30_000_000, "at_hand": False}
    assert catalog_writer._everywhere(facts) == catalog_writer._everywhere(elsewhere)
    assert catalog_writer._everywhere(facts | {"where": "bundled"})["where"] == "bundled"


def test_the_committed_catalog_is_fresh() -> None:
    """If this fails: `make catalog`, and commit core/catalog.json."""
    assert catalog_writer.main(["--check"]) == 0
