"""Makes assets/samples: the recipes and results of real runs on the bundled data, to explore before a first run.

`python assets/make_samples.py WORKSPACE` runs them one after another (about a quarter of an hour on two cores); a run
that is there already is not done again. Run it on a machine that does nothing else: the latencies are measured.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from core.runs import Run
from core.workspace import Workspace

HERE = Path(__file__).resolve().parent
CONDENSER = Path(sys.executable).with_name("condenser")


@dataclass(frozen=True)
class Sample:
    """A name, the bundled recipe it starts from and what it changes there."""

    name: str
    settings: tuple[str, ...] = ()
    recipe: str = "demo"


SAMPLES = (
    Sample("the demo"),
    Sample("softer teacher", ("steps.1.temperature=8.0",)),
    Sample("harder teacher", ("steps.1.temperature=1.0",)),
    Sample("gentle cut", ("steps.2.ratio=0.3",)),
    Sample("deep cut", ("steps.2.ratio=0.75",)),
    Sample("random cut", ("steps.2.method=random",)),
    Sample("weights in 8 bits", ("steps.3.method=weight_only",)),
    Sample("weights in 4 bits", ("steps.3.method=weight_only", "steps.3.bits=4")),
    Sample("narrow student", ("steps.1.width=8",)),
    Sample("wide student", ("steps.1.width=24",)),
    Sample("small teacher, all labels", (), "bundled-teacher"),
)


def main(workspace: Path) -> None:
    """Does the runs that are missing in `workspace` and copies what a chart needs of all of them."""
    store = Workspace.open_or_create(workspace)
    done = {summary.name: summary.id for summary in store.runs() if summary.status.value == "finished"}
    for sample in SAMPLES:
        if sample.name not in done:
            subprocess.run([CONDENSER, *command(sample, workspace)], check=True)
    kept = HERE / "samples"
    shutil.rmtree(kept, ignore_errors=True)
    names = {sample.name for sample in SAMPLES}
    for summary in store.runs():
        if summary.name in names and summary.status.value == "finished":
            keep(Run(store.path / "runs" / summary.id), kept)


def keep(run: Run, folder: Path) -> None:
    """Copies the recipe and the result; of the system's description its name alone, which is all that matters."""
    (folder / run.id).mkdir(parents=True)
    shutil.copy(run.folder / "recipe.toml", folder / run.id / "recipe.toml")
    result = json.loads(run.result.read_text(encoding="utf-8"))
    result["environment"]["system"] = result["environment"]["system"].partition("-")[0]
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (folder / run.id / "result.json").write_text(text, encoding="utf-8")


def command(sample: Sample, workspace: Path) -> list[str]:
    settings = [part for setting in (f'name="{sample.name}"', *sample.settings) for part in ("--set", setting)]
    return ["run", str(HERE / "recipes" / f"{sample.recipe}.toml"), *settings, "--workspace", str(workspace)]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
