"""A bundle: a model to deploy elsewhere, with everything needed to run it and to know what it is."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from core.assets import BENCHMARK, PREDICT, shipped
from core.catalog import TIMM, Facts, load_catalog
from core.errors import UserError
from core.files import make_folder, remove_file, write_atomic
from core.own.models import PREFIX
from core.points import InRuntime, Point
from core.run_files.artifacts import read_artifact
from core.run_files.runtime_needs import adds_integers, least_onnxruntime
from core.runs import Run
from core.runtimes import title
from core.storage.disk import disk_error
from core.text.formatting import AT_CHANCE, Amount, chance, percent

CARD = "card.json"  # labels and preprocessing, next to every artifact
SAMPLES = "samples.npz"  # test images with the model's answers, next to every artifact
REQUIREMENTS = "requirements.txt"  # of predict.py and benchmark.py
PREDICTIONS = "predictions.npz"  # answers for all test and validation images, next to every artifact
WHITE = 65535  # in an image that uses all of its 16 bits
EXACTLY = (
    "On x86 processors without VNNI instructions, open model.onnx in another program with onnxruntime's session option "
    "`session.x64quantprecision` = `1`, as these scripts do there: otherwise sums in its int8 layers are cut off."
)


def write_bundle(run: Run, step: int | None, folder: Path, *, images: bool = True) -> list[str]:
    """Writes the model of `step` (default: the last) into `folder` and returns the names of the files.

    model.onnx, labels.json, preprocessing.json, MODEL_CARD.md, recipe.toml, receipt.json, environment.json,
    requirements.txt, predict.py and benchmark.py; with `images` also samples.npz, test images with which benchmark.py
    checks the model's answers.
    Raises UserError if the run has no such point, if its files are missing or not as they were measured, or if
    `folder` is not empty. After any other error none of the files is left.
    """
    point = point_of(run, step)
    if not point.artifact:
        fix = "Run the recipe again."
        raise UserError("missing_artifact", "step", point.step, "a step whose files are still there", fix)
    source = PurePosixPath(point.artifact)
    contents = _contents(run, point, source, images=images)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError("folder_not_empty", "out", str(folder), "a new or empty folder", "Name another one.")
        make_folder(folder, private=False)
    except OSError as error:
        if (found := disk_error(error, folder)) is not None and found.code not in ("unusable_path", "no_permission"):
            raise
        given = f"{folder} ({error.strerror})"
        raise UserError("unusable_folder", "out", given, "a folder that can be made", "Name another one.") from None
    try:
        for name, data in contents.items():
            write_atomic(folder / name, data, private=False)
    except BaseException:
        for name in contents:
            remove_file(folder / name)
        raise
    return sorted(contents)


def point_of(run: Run, step: int | None) -> Point:
    """The run's point at `step`, by default its last; raises UserError naming the steps that have one."""
    points = {point.step: point for point in run.summary().points}
    if not points:
        fix = "Wait until a step is measured, or run the recipe again."
        raise UserError("no_points", "run", run.id, "a run with at least one measured step", fix)
    if step is None:
        return points[max(points)]
    if step not in points:
        allowed = f"one of {', '.join(map(str, points))}"
        raise UserError(
            "unknown_step", "step", step, allowed, "Steps count from 0; an export step has no model of its own."
        )
    return points[step]


def _contents(run: Run, point: Point, source: PurePosixPath, *, images: bool) -> dict[str, bytes]:
    card = json.loads(read_artifact(run, str(source.with_name(CARD))))
    extra_names = [f"{source.stem}.packed.safetensors", *([SAMPLES] if images else [])]
    paths = {name: str(source.with_name(name)) for name in extra_names}
    saved = {file.path for file in run.state().artifacts}
    there = {name for name, path in paths.items() if path in saved or (run.folder / path).exists()}
    extras = {name: read_artifact(run, path) for name, path in paths.items() if name in there}
    model = read_artifact(run, str(source))
    needs = requirements(model)
    files = {
        "model.onnx": model,
        REQUIREMENTS: needs,
        **described(card),
        **{path.name: shipped(path).read_bytes() for path in (PREDICT, BENCHMARK)},
        "receipt.json": _json(point.to_json()),
        "recipe.toml": run.recipe_text.encode(),
        "environment.json": _json(run.summary().environment_of(point)),
        "MODEL_CARD.md": model_card(
            run,
            point,
            card,
            ", ".join(needs.decode().split()),
            images=SAMPLES in extras,
            integers=adds_integers(model),
        ).encode(),
    }
    return files | extras


def described(card: dict[str, Any]) -> dict[str, bytes]:
    """What a model returns and what input it expects, from its card: labels.json and preprocessing.json."""
    pixels = {**card["preprocessing"], **({"input": card["input"]} if card.get("input") else {})}
    return {"labels.json": _json(card["classes"]), "preprocessing.json": _json(pixels)}


def requirements(model: bytes) -> bytes:
    """The packages that predict.py and benchmark.py need, for pip; the ONNX file decides the oldest onnxruntime."""
    least = least_onnxruntime(model)
    return f"numpy\nonnxruntime{f'>={least}' if least else ''}\npillow\n".encode()


def model_card(
    run: Run,
    point: Point,
    card: dict[str, Any],
    needs: str = "onnxruntime, numpy and pillow",
    *,
    images: bool = False,
    integers: bool = False,
) -> str:
    """The model card in Markdown: what the model is, how it was made, what was measured and where.

    After Mitchell et al. 2019, Model Cards for Model Reporting, arXiv:1810.03993. Names that a person chose are put in
    code spans, so that they are shown as typed. All numbers in it are measured. `needs`: the packages of its scripts;
    `images`: whether the bundle holds test images; `integers`: whether the model's layers run in integers.
    """
    summary = run.summary()
    pixels = card["preprocessing"]
    lines = [
        "# Model card",
        "",
        f"An image classifier of {len(card['classes'])} classes, made by the recipe {_code(summary.name)} "
        f"(recipe.toml) from the backbone {_code(summary.backbone)} and the dataset {_code(summary.dataset)}, "
        f"step {point.step} ({point.stage}, {point.method}). Its own architecture: {_code(card['backbone'])}.",
        "",
        "## Input and output",
        f"`image`: float32 [N, {pixels['channels']}, {pixels['size']}, {pixels['size']}]: pixels resized (bilinear, "
        f"antialiased){_middle(pixels)}, divided by 255, minus {pixels['mean']}, divided by {pixels['std']}. "
        f"`logits`: [N, {len(card['classes'])}], in the order of labels.json.{_cut(card.get('input'))}",
        "",
        "`python predict.py IMAGE…` classifies images, `python benchmark.py` measures on this machine; both need "
        f"{needs} (requirements.txt).",
        *(["", EXACTLY] if integers else []),
        "",
        "## Measured",
        *(f"- {line}" for line in _measured(point)),
        "",
        "receipt.json holds these numbers and how they were measured.",
        "",
        "## Measured on",
        *(f"- {key}: {_code(value)}" for key, value in summary.environment_of(point).items()),
        "",
        "## Licence and source",
        *(f"- {line}" for line in _origins(summary.dataset, summary.backbone, card["backbone"])),
        *(["- samples.npz holds images of the dataset, under its licence."] if images else []),
        "",
        "## Limits",
        *([f"- Its accuracy is {AT_CHANCE}."] if point.is_at_chance else []),
        "- Accuracy holds for images like those of the dataset; other images were not tested.",
        *(f"- {note}" for note in [*point.receipt.get("no_gain", []), *point.receipt.get("notes", [])]),  # type: ignore[misc]
        "",
    ]
    return "\n".join(lines)


def _middle(pixels: dict[str, Any]) -> str:
    """The part of a resized image that is kept, if that is not all of it."""
    return f", the middle {100 * pixels['crop']:g} % of each side kept" if "crop" in pixels else ""


def _cut(given: dict[str, Any] | None) -> str:
    """How an image becomes the input's pixels, as in predict.py; empty for datasets of small square images."""
    if not given:
        return ""
    shapes = {"crop": "cut to its middle square", "pad": "padded with grey to a square", "stretch": "stretched square"}
    deep = f"; in 16 bits {given['white']:,} is white" if given["white"] != WHITE else ""
    return f" A picture is turned upright, {shapes[given['shape']]}{deep}; predict.py does that as it was for training."


def _origins(dataset: str, backbone: str, architecture: str) -> list[str]:
    """Source and licence of the data and the weights, as far as the catalog knows them."""
    catalog = load_catalog()
    own: Facts = {"licence": "your own"}
    lines = [_origin("dataset", dataset, catalog.datasets.get(dataset, own))]
    for name in dict.fromkeys((backbone, architecture)):
        facts = own if name.startswith(PREFIX) else catalog.backbones.get(name) or _unlisted(name)
        lines.append(_origin("backbone", name, facts))
    return lines


def _unlisted(name: str) -> Facts:
    """Of a network that the catalog lacks: where the licence of one of timm's is found."""
    return {"licence": "see its page on the Hugging Face hub"} if name.startswith(TIMM) else {}


def _origin(noun: str, name: str, facts: Facts) -> str:
    known = {key: _code(str(facts[key])) for key in ("licence", "source") if facts.get(key)}
    facts_known = ", ".join(f"{key} {value}" for key, value in known.items())
    return f"{noun} {_code(name)}: {facts_known or 'licence and source unknown'}"


def _measured(point: Point) -> list[str]:
    found = []
    if point.accuracy is not None and point.accuracy_low is not None and point.accuracy_high is not None:
        interval = f"{100 * point.accuracy_low:.1f} to {100 * point.accuracy_high:.1f} %"
        found.append(f"accuracy on the test split: {100 * point.accuracy:.2f} % (95 % interval {interval})")
    if point.chance is not None:
        found.append(f"chance on the test split: {chance(point)}")
    if point.target_accuracy is not None:
        found.append(f"accuracy on the test split of the target dataset: {100 * point.target_accuracy:.2f} %")
    if point.validation_accuracy is not None:
        found.append(f"accuracy on the validation split: {100 * point.validation_accuracy:.2f} %")
    found += _spread(point)
    if point.bytes is not None:
        compressed = "" if point.compressed_bytes is None else f"; compressed {point.compressed_bytes:,}"
        found.append(f"file: {point.bytes:,} bytes{compressed}")
    if point.params is not None and point.macs is not None:
        found.append(f"network: {point.params:,} parameters, {point.macs:,} multiply-accumulates an image")
    latency = point.latency_ms
    if latency is not None:
        noisy = ", on a busy machine" if latency.noisy else ""
        found.append(
            f"latency: median {latency.p50:.3f} ms, 95th percentile {latency.p95:.3f} ms, batch {latency.batch}, "
            f"{Amount(latency.threads):thread|threads}, {latency.runtime} on {latency.device}, n = {latency.n}{noisy}"
        )
    return [*found, *(_in_runtime(name, there) for name, there in (point.runtimes or {}).items())]


def _in_runtime(name: str, there: InRuntime) -> str:
    """The same file in a further runtime."""
    latency, interval = there.latency_ms, f"{100 * there.accuracy_low:.1f} to {100 * there.accuracy_high:.1f} %"
    noisy = ", on a busy machine" if latency.noisy else ""
    return (
        f"in {_code(f'{title(name)} {there.version}')}, floats computed in {_code(there.precision)}: accuracy on the "
        f"test split {100 * there.accuracy:.2f} % (95 % interval {interval}); latency: median {latency.p50:.3f} ms, "
        f"95th percentile {latency.p95:.3f} ms, n = {latency.n}{noisy}"
    )


def _spread(point: Point) -> list[str]:
    """How the right answers are spread, and whether confidence says how often it is right."""
    found, told = [], point.spread
    if told is not None:
        worst = f"worst class {_code(told.worst_class)} {percent(told.worst_recall)}"
        found.append(
            f"on the test split: macro-F1 {percent(told.macro_f1)}, balanced accuracy "
            f"{percent(told.balanced_accuracy)}, {worst}"
        )
        if told.top5_accuracy is not None:
            found.append(f"label among the first five answers: {percent(told.top5_accuracy)} of the test split")
    if point.calibration_error is not None:
        found.append(f"expected calibration error on the test split, 15 bins: {percent(point.calibration_error)}")
    return found


def _code(text: str) -> str:
    """User text as a Markdown code span; nothing in the text can end the span."""
    plain = " ".join(text.split())
    fence = "`" * (1 + max((len(run) for run in _ticks(plain)), default=0))
    return f"{fence} {plain} {fence}" if "`" in plain else f"{fence}{plain}{fence}"


def _ticks(text: str) -> list[str]:
    return "".join(c if c == "`" else " " for c in text).split()


def _json(data: object) -> bytes:
    return json.dumps(data, indent=1, ensure_ascii=False).encode()
