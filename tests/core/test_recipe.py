"""The recipe: what is read is what was written, and every bad input is told by field, value, limits and cure."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.catalog import Catalog, MethodEntry
from core.errors import UserError, UserErrors
from core.options import Kind, Option, Value, Words
from core.recipe import (
    RECIPE_OPTIONS,
    Checked,
    Recipe,
    Step,
    check,
    load_recipe,
    parse_recipe,
    recipe_from,
    with_settings,
)

FASHION = """\
schema = 1
name = "fashion, small and fast"
dataset = "fashion-mini"
backbone = "efficientnet_lite0"
image_size = 64
seed = 0
threads = 1
device = "auto"

[[steps]]
stage = "transfer"
method = "linear_probe"

[[steps]]
stage = "distill"
method = "kd"
student = "resnet8"
temperature = 4.0
weight = 0.9          # share of the soft loss; the rest is cross-entropy with the labels

[[steps]]
stage = "prune"
method = "l2"
ratio = 0.5           # share of channels removed

[[steps]]
stage = "quantize"
method = "static"
bits = 8
"""


def option(name: str, default: Value, low: float | None = None, high: float | None = None, **more: object) -> Option:
    kinds: dict[type, Kind] = {bool: "bool", int: "int", float: "float", str: "str"}
    words = Words(name, name)
    return Option(name, kinds[type(default)], default, words, words, low, high, **more)  # type: ignore[arg-type]


def method(*options: Option) -> MethodEntry:
    return MethodEntry(Words("a", "甲"), Words("b", "乙"), "", options)


EPOCHS = option("epochs", 10, 1, 1000)
BATCH = option("batch", 128, 1, 65536)
KD = (option("student", "resnet8"), option("width", 0, 0, 512), EPOCHS, BATCH, option("weight", 0.9, 0, 1))
BITS = option("bits", 8, choices=(2, 3, 4, 5, 6, 7, 8))
CATALOG = Catalog(
    methods={
        "transfer": {
            "linear_probe": method(option("l2", 1.0, 0, 1e6)),
            "fine_tune": method(EPOCHS, BATCH, option("frozen", True)),
            "gradual": method(EPOCHS, option("phases", 4, 2, 100)),
            "pseudo_labels": method(
                EPOCHS,
                option("mixup", 0.0, 0, 10),
                option("cutmix", 0.0, 0, 10),
                option("rounds", 2, 1, 20),
                option("confidence", 0.95, 0.5, 1),
            ),
        },
        "distill": {
            "kd": method(*KD, option("temperature", 4.0, 1, 50)),
            "dkd": method(*KD, option("alpha", 1.0, 0, 8)),
        },
        "prune": {"l2": method(option("ratio", 0.5, 0, 0.99), option("scope", "global", choices=("global", "local")))},
        "quantize": {"static": method(BITS, option("calibration_images", 256, 16, 9000))},
        "export": {"onnx": method(), "torch": replace(method(), takes_quantized=False)},
    },
    backbones={
        "efficientnet_lite0": {"params": 3_400_000, "smallest": 16},
        "resnet8": {"params": 78_000, "width": 16, "weights": "none", "smallest": 8},
        "vgg16": {"params": 138_000_000},
    },
    datasets={"fashion-mini": {"classes": 10, "images": 7000, "train": 5000}, "digits": {"classes": 10}},
)


def faults(text: str | bytes) -> dict[str, UserError]:
    """The mistakes by field; fails when the recipe is accepted."""
    with pytest.raises(UserErrors) as caught:
        parse_recipe(text, CATALOG)
    for error in caught.value.errors:
        assert error.field
        assert error.allowed
        assert error.fix
        assert len(str(error)) < 1000
        assert "\n" not in error.given
    return {error.field: error for error in caught.value.errors}


def fault(text: str | bytes) -> UserError:
    (error,) = faults(text).values()
    return error


def steps(*lines: str) -> str:
    """A recipe with the given steps: `transfer.fine_tune epochs=3`."""
    text = 'dataset = "fashion-mini"\nbackbone = "efficientnet_lite0"\n'
    for line in lines:
        name, *options = line.split()
        stage, _, of = name.partition(".")
        text += f'[[steps]]\nstage = "{stage}"\nmethod = "{of}"\n' + "".join(f"{o}\n" for o in options)
    return text


def test_the_documented_recipe_is_read() -> None:
    recipe = parse_recipe(FASHION, CATALOG)
    assert recipe == Recipe(
        name="fashion, small and fast",
        dataset="fashion-mini",
        backbone="efficientnet_lite0",
        image_size=64,
        steps=(
            Step("transfer", "linear_probe"),
            Step("distill", "kd", {"student": "resnet8", "temperature": 4.0, "weight": 0.9}),
            Step("prune", "l2", {"ratio": 0.5}),
            Step("quantize", "static", {"bits": 8}),
        ),
    )
    assert (recipe.seeds, recipe.labels, recipe.weights, recipe.schema) == (1, 0, "default", 1)


def test_what_is_written_is_read_back_to_the_byte() -> None:
    recipe = parse_recipe(FASHION, CATALOG)
    text = recipe.to_toml()
    again = parse_recipe(text, CATALOG)
    assert again == recipe
    assert again.to_toml() == text


def test_bom_crlf_and_bytes_are_accepted() -> None:
    expected = parse_recipe(FASHION, CATALOG)
    assert parse_recipe("\ufeff" + FASHION.replace("\n", "\r\n"), CATALOG) == expected
    assert parse_recipe(b"\xef\xbb\xbf" + FASHION.encode(), CATALOG) == expected


@settings(max_examples=150, deadline=None)
@given(
    name=st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=200),
    seed=st.integers(0, 2**31 - 1),
    ratio=st.floats(0, 0.99),
    temperature=st.floats(1, 50),
    student=st.sampled_from(["resnet8", "vgg16"]),
    bits=st.integers(2, 8),
)
def test_every_valid_recipe_round_trips(
    name: str, seed: int, ratio: float, temperature: float, student: str, bits: int
) -> None:
    recipe = Recipe(
        name,
        "fashion-mini",
        "vgg16",
        (
            Step("transfer", "fine_tune", {"frozen": False}),
            Step("distill", "kd", {"student": student, "temperature": temperature}),
            Step("prune", "l2", {"ratio": ratio, "scope": "local"}),
            Step("quantize", "static", {"bits": bits}),
        ),
        seed=seed,
    )
    text = recipe.to_toml()
    assert parse_recipe(text, CATALOG) == recipe
    assert parse_recipe(text, CATALOG).to_toml() == text
    assert parse_recipe(text, CATALOG).hash(CATALOG) == recipe.hash(CATALOG)


@given(st.text(max_size=100))
def test_any_text_survives_as_a_name_or_is_refused_by_field(name: str) -> None:
    try:
        recipe = recipe_from({**parse_recipe(FASHION, CATALOG).to_data(), "name": name}, CATALOG)
    except UserErrors as refused:
        fields = [error.field for error in refused.errors]
    else:
        fields = ["name"]
        assert parse_recipe(recipe.to_toml(), CATALOG).name == name
    assert fields == ["name"]


@pytest.mark.parametrize("data", [st.binary(max_size=400), st.text(max_size=400)], ids=["bytes", "text"])
def test_arbitrary_input_is_refused_only_in_the_agreed_way(data: st.SearchStrategy[str | bytes]) -> None:
    @settings(max_examples=300, deadline=None, database=None)
    @given(data)
    def try_it(text: str | bytes) -> None:
        with pytest.raises(UserErrors):
            parse_recipe(text, CATALOG)

    try_it()


keys = st.sampled_from(
    [o.name for o in RECIPE_OPTIONS] + ["schema", "stage", "method", "student", "bits", "x", "", "é"]
)
odd_numbers = ["1", "0", "-1", "1e400", "nan", "-inf", "9" * 30, "0xffffffffffff"]
odd_words = ["true", '"kd"', '"transfer"', '"prune"', '"fashion-mini"', "''", '"\\u0000"', "[]", "{}", "[[1], {a = 1}]"]
odd_times = ["2024-01-01", "2024-01-01T00:00:00+23:59", "12:00:00"]
toml_scalars = st.sampled_from(odd_numbers + odd_words + odd_times)
toml_lines = st.lists(
    st.one_of(
        st.builds("{} = {}".format, keys.map(json.dumps), toml_scalars),
        st.sampled_from(["[[steps]]", "[steps]", "[a.b]"]),
    ),
    max_size=14,
).map("\n".join)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(toml_lines)
def test_arbitrary_toml_is_refused_only_in_the_agreed_way(text: str) -> None:
    with pytest.raises(UserErrors) as caught:
        parse_recipe(text, CATALOG)
    assert caught.value.errors


BASE = steps("transfer.fine_tune")


@pytest.mark.parametrize(
    ("line", "code", "field", "hint"),
    [
        ("sed = 3", "unknown_field", "sed", "'seed'"),
        ("seed = -1", "out_of_range", "seed", "0"),
        ("seed = 3.5", "wrong_type", "seed", "whole number"),
        ("seed = true", "wrong_type", "seed", "whole number"),
        ("seeds = 11", "out_of_range", "seeds", "10"),
        ("threads = 0", "out_of_range", "threads", "1"),
        ("threads = 257", "out_of_range", "threads", "256"),
        ('device = "gpu"', "unknown_choice", "device", "cpu"),
        ('weights = "some"', "unknown_choice", "weights", "none"),
        ("image_size = 15", "out_of_range", "image_size", "16"),
        ("image_size = 1025", "out_of_range", "image_size", "1024"),
        ("labels = 5001", "more_labels_than_data", "labels", "5000"),
        ("labels = 9", "fewer_labels_than_classes", "labels", "10"),
        ("name = 5", "wrong_type", "name", "text"),
        ("shots = 501", "more_shots_than_images", "shots", "500"),
        ("shots = 5\nlabels = 50", "conflicting_options", "shots", "labels"),
        ("shots = -1", "out_of_range", "shots", "0"),
        (f'name = "{"x" * 201}"', "too_long", "name", "200"),
        ('name = "a\\nb"', "control_character", "name", "line"),
        ("schema = 2", "newer_schema", "schema", "newer"),
        ("schema = 0", "wrong_type", "schema", "1"),
        ("seed = nan", "wrong_type", "seed", "whole"),
        ("seed = 1979-05-27", "wrong_type", "seed", "whole"),
        ("labels = [1, 2]", "wrong_type", "labels", "whole"),
        ("sub = {a = 1}", "unknown_field", "sub", "seed"),
    ],
)
def test_a_bad_top_level_value(line: str, code: str, field: str, hint: str) -> None:
    error = fault(f"{line}\n{BASE}")
    assert (error.code, error.field) == (code, field)
    assert hint in f"{error.allowed} {error.fix}"


@pytest.mark.parametrize(
    ("step", "code", "field", "hint"),
    [
        ("distill.kd temprature=3", "unknown_field", "steps.1.temprature", "'temperature'"),
        ("distill.kd temperature=0.5", "out_of_range", "steps.1.temperature", "from 1 to 50"),
        ("distill.kd temperature='hot'", "wrong_type", "steps.1.temperature", "number"),
        ("distill.kd temperature=nan", "not_finite", "steps.1.temperature", "finite"),
        ("distill.kd temperature=inf", "not_finite", "steps.1.temperature", "finite"),
        ("distill.kd temperature=1e400", "not_finite", "steps.1.temperature", "finite"),
        ("distill.kd epochs=0", "out_of_range", "steps.1.epochs", "1"),
        ("distill.kd student='resnet9'", "unknown_backbone", "steps.1.student", "'resnet8'"),
        ("distill.kd width=8 student='vgg16'", "conflicting_options", "steps.1.width", "resnet8"),
        ("distill.kdd", "unknown_method", "steps.1.method", "kd"),
        ("destill.kd", "unknown_stage", "steps.1.stage", "'distill'"),
        ("quantize.static bits=1", "unknown_choice", "steps.1.bits", "8"),
        ("quantize.static bits=3.5", "wrong_type", "steps.1.bits", "8"),
        ("quantize.static bits=64", "unknown_choice", "steps.1.bits", "8"),
        ("prune.l2 ratio=1.0", "out_of_range", "steps.1.ratio", "0.99"),
        ("prune.l2 scope='globl'", "unknown_choice", "steps.1.scope", "'global'"),
        (
            "quantize.static calibration_images=5001",
            "calibration_larger_than_data",
            "steps.1.calibration_images",
            "5000",
        ),
        ("transfer.fine_tune batch=5001", "batch_larger_than_data", "steps.1.batch", "5000"),
    ],
)
def test_a_bad_step(step: str, code: str, field: str, hint: str) -> None:
    error = fault(steps("transfer.fine_tune", step))
    assert (error.code, error.field) == (code, field)
    assert hint in f"{error.allowed} {error.fix}"


@pytest.mark.parametrize(
    ("chain", "named"),
    [
        (("prune.l2",), ("steps.0 (prune.l2)",)),
        (("distill.kd", "transfer.linear_probe"), ("distill.kd", "transfer.linear_probe")),
        (("transfer.fine_tune", "quantize.static", "prune.l2"), ("steps.1 (quantize.static)", "steps.2 (prune.l2)")),
        (("transfer.fine_tune", "quantize.static", "transfer.fine_tune"), ("quantize.static", "transfer.fine_tune")),
        (("transfer.fine_tune", "quantize.static", "distill.kd"), ("quantize.static", "distill.kd")),
        (("transfer.fine_tune", "quantize.static", "quantize.static"), ("steps.1 (", "steps.2 (", "Keep one")),
        (("transfer.fine_tune", "export.onnx", "quantize.static"), ("export.onnx", "quantize.static")),
        (("transfer.fine_tune", "quantize.static", "export.torch"), ("steps.1 (quantize", "steps.2 (export.torch)")),
    ],
)
def test_conflicting_steps_are_both_named(chain: tuple[str, ...], named: tuple[str, ...]) -> None:
    error = fault(steps(*chain))
    assert error.code == "conflicting_steps"
    for name in named:
        assert name in f"{error.given} {error.fix}"


@pytest.mark.parametrize(
    "chain",
    [
        ("transfer.fine_tune", "export.onnx", "export.torch"),
        ("transfer.fine_tune", "quantize.static", "export.onnx"),
        ("transfer.fine_tune", "prune.l2", "transfer.fine_tune", "prune.l2", "distill.dkd", "quantize.static"),
        ("transfer.linear_probe", "transfer.fine_tune", "distill.kd", "distill.kd"),
    ],
)
def test_sensible_chains_are_accepted(chain: tuple[str, ...]) -> None:
    assert [f"{s.stage}.{s.method}" for s in parse_recipe(steps(*chain), CATALOG).steps] == list(chain)


def test_all_mistakes_are_told_at_once() -> None:
    names = 'dataset = "fashion-mni"\nbackbone = "vgg61"'
    text = f'seed = -1\ncolour = 1\n{names}\n[[steps]]\nstage = "prune"\nmethod = "l2"\nratio = 2'
    found = faults(text)
    assert set(found) == {"seed", "colour", "dataset", "backbone", "steps.0.ratio", "steps.0.stage"}
    assert "'fashion-mini'" in found["dataset"].fix
    assert "'vgg16'" in found["backbone"].fix


def test_what_is_missing_is_named() -> None:
    assert set(faults("")) == {"dataset", "backbone", "steps"}
    assert set(faults('dataset = "digits"\nbackbone = "vgg16"\n[[steps]]\n')) == {"steps.0.stage", "steps.0.method"}
    assert fault('dataset = "digits"\nbackbone = "vgg16"\n[steps]\nstage = "x"').code == "wrong_type"
    assert fault('dataset = "digits"\nbackbone = "vgg16"\nsteps = [1]').code == "wrong_type"
    assert fault(steps("transfer.fine_tune", *["prune.l2"] * 32)).code == "step_count"


def test_a_transfer_sees_only_the_labels_a_distillation_the_whole_pool() -> None:
    few = steps("transfer.fine_tune batch=101", "distill.kd batch=101")
    assert fault(f"labels = 100\n{few}").field == "steps.0.batch"
    assert parse_recipe(f"labels = 101\n{few}", CATALOG).labels == 101


def test_an_imported_data_set_is_known_only_when_passed() -> None:
    text = BASE.replace("fashion-mini", "my pets 🐈")
    assert fault(text).code == "unknown_dataset"
    assert parse_recipe(text, CATALOG.with_datasets(["my pets 🐈"])).dataset == "my pets 🐈"


def test_a_check_gives_the_recipe_or_every_mistake() -> None:
    recipe = parse_recipe(FASHION, CATALOG)
    assert check(recipe.to_data(), CATALOG) == Checked(recipe)
    wrong = check({**recipe.to_data(), "dataset": "nobody", "seeds": 0}, CATALOG)
    assert (wrong.recipe, {error.field for error in wrong.errors}) == (None, {"dataset", "seeds"})
    with pytest.raises(UserErrors) as caught:
        wrong.accepted()
    assert caught.value.errors == wrong.errors


def test_twenty_thousand_unknown_keys_are_refused_quickly() -> None:
    start = time.process_time()
    found = faults("\n".join(f"see{n}d=1" for n in range(20_000)))
    assert len([field for field in found if field.startswith("see")]) == 20
    assert time.process_time() - start < 2


def test_text_within_quotes_does_not_trip_the_limits() -> None:
    name = "[" * 50 + "." * 60 + "1" * 60
    assert parse_recipe(f"name = '{name}'  # {'[' * 90} {'.' * 90} {'7' * 90}\n{BASE}", CATALOG).name == name


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    def code(path: Path | str) -> str:
        with pytest.raises(UserErrors) as caught:
            load_recipe(path, CATALOG)
        (error,) = caught.value.errors
        return error.code

    big = tmp_path / "big.toml"
    big.write_bytes(b"#" * 10_000_000)
    assert code(tmp_path / "none.toml") == "missing_file"
    assert code(tmp_path) == "not_a_file"
    assert code("/dev/zero") == "not_a_file"
    assert code(big) == "too_large"
    assert code("x\0y") in {"unreadable_file", "missing_file"}
    assert code("x" * 5000) in {"unreadable_file", "missing_file"}


def test_a_file_is_loaded_with_settings(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(FASHION.replace("temperature = 4.0", "temperature = 400.0"))
    recipe = load_recipe(path, CATALOG, settings=["steps.1.temperature=3", "name=fast one", "steps.3.bits = 4"])
    assert recipe.steps[1].options["temperature"] == 3.0
    assert recipe.steps[3].options["bits"] == 4
    assert recipe.name == "fast one"


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("steps.1.temprature=3", "steps.1.temprature"),
        ("steps.1.temperature=0", "steps.1.temperature"),
        ("steps.4.bits=3", "steps.4.bits"),
        ("steps.-1.bits=3", "steps.-1.bits"),
        ("steps.1=3", "steps.1"),
        ("steps.1.a.b=3", "steps.1.a.b"),
        ("seed.x=3", "seed.x"),
        ("sede=3", "sede"),
        ("seed", "--set"),
        ("=3", "--set"),
        ("steps=[]", "--set"),
        ("seed=" + "9" * 5000, "--set"),
        ("seed=3\nthreads = 2", "seed"),
        ("seed=nan", "seed"),
        ("dataset=digit", "dataset"),
    ],
    ids=lambda text: text[:24],
)
def test_a_bad_setting(setting: str, field: str) -> None:
    recipe = parse_recipe(FASHION, CATALOG)
    with pytest.raises(UserErrors) as caught:
        with_settings(recipe, [setting], CATALOG)
    assert [error.field for error in caught.value.errors] == [field]


@pytest.mark.parametrize("text", ["digits", '"digits"', "'digits'", " digits "])
def test_a_setting_takes_bare_words_and_quoted_text(text: str) -> None:
    assert with_settings(FASHION, [f"dataset={text}"], CATALOG).dataset == "digits"


def test_settings_leave_the_recipe_they_came_from_alone() -> None:
    recipe = parse_recipe(FASHION, CATALOG)
    with_settings(recipe, ["steps.1.weight=0.1", "seed=7"], CATALOG)
    assert recipe == parse_recipe(FASHION, CATALOG)


def test_the_hash_sees_what_changes_a_figure_and_nothing_else() -> None:
    recipe = parse_recipe(FASHION, CATALOG)
    spelled_out = with_settings(recipe, ["steps.1.epochs=10", "steps.2.scope=global", "name=other"], CATALOG)
    assert spelled_out.hash(CATALOG) == recipe.hash(CATALOG)
    assert recipe.hash(CATALOG) == parse_recipe(recipe.to_toml(), CATALOG).hash(CATALOG)
    changes = ["seed=1", "seeds=2", "threads=2", "device=cpu", "labels=300", "image_size=32", "weights=none"]
    changes += ["precision=float32", "latency_threads=2"]
    changes += [
        "dataset=digits",
        "backbone=vgg16",
        "steps.1.temperature=3",
        "steps.3.bits=4",
        "steps.0.method=fine_tune",
    ]
    hashes = {with_settings(recipe, [change], CATALOG).hash(CATALOG) for change in changes}
    assert len(hashes | {recipe.hash(CATALOG)}) == len(changes) + 1


def test_what_is_measured_besides_changes_no_result() -> None:
    """The lessons' kept results are found by the hash."""
    recipe = parse_recipe(FASHION, CATALOG)
    assert with_settings(recipe, ["runtimes=none"], CATALOG).hash(CATALOG) == recipe.hash(CATALOG)


def test_a_prefix_hash_sees_only_what_comes_before() -> None:
    recipe = parse_recipe(FASHION, CATALOG)
    other = with_settings(
        recipe, ["steps.2.ratio=0.7", "name=x", "seeds=3", "device=cpu", "latency_threads=2", "runtimes=none"], CATALOG
    )
    same = [recipe.prefix_hash(n, CATALOG) == other.prefix_hash(n, CATALOG) for n in range(4)]
    assert same == [True, True, False, False]
    assert len({recipe.prefix_hash(n, CATALOG) for n in range(4)}) == 4
    seeded = replace(recipe, seed=1)
    assert not any(recipe.prefix_hash(n, CATALOG) == seeded.prefix_hash(n, CATALOG) for n in range(4))


def test_resolving_fills_the_defaults_and_keeps_what_was_set() -> None:
    step = parse_recipe(FASHION, CATALOG).resolved(CATALOG).steps[1]
    assert step.options == {
        "student": "resnet8",
        "width": 0,
        "epochs": 10,
        "batch": 128,
        "weight": 0.9,
        "temperature": 4.0,
    }


@pytest.mark.parametrize(
    ("settings", "larger"),
    [
        ((), False),
        (("steps.1.student=vgg16",), True),
        (("steps.1.width=96",), False),  # 78,000 · 6² = 2.8 M
        (("steps.1.width=128",), True),  # 78,000 · 8² = 5.0 M
        (("backbone=resnet8", "steps.1.width=32"), True),
        (("backbone=vgg16", "steps.1.student=efficientnet_lite0"), False),
    ],
)
def test_a_student_larger_than_its_teacher_is_a_warning(settings: tuple[str, ...], larger: bool) -> None:
    warnings = with_settings(FASHION, settings, CATALOG).warnings(CATALOG)
    assert bool(warnings) is larger
    assert all("steps.1" in sentence and "teacher" in sentence for sentence in warnings)


def test_a_second_student_is_compared_with_the_first() -> None:
    text = steps("transfer.fine_tune", "distill.kd student='resnet8'", "distill.kd student='efficientnet_lite0'")
    (sentence,) = parse_recipe(text, CATALOG).warnings(CATALOG)
    assert "steps.2" in sentence
    assert "teacher resnet8" in sentence


def test_the_knobs_of_the_recipe_are_its_fields_in_both_languages() -> None:
    knobs = {option.name: option for option in RECIPE_OPTIONS}
    assert set(knobs) == set(Recipe.__dataclass_fields__) - {"steps", "schema"}
    recipe = Recipe("n", "d", "b", ())
    for name in set(knobs) - {"name", "dataset", "backbone"}:
        assert knobs[name].check(getattr(recipe, name)) == knobs[name].default == getattr(recipe, name)
    for knob in RECIPE_OPTIONS:
        for words in (knob.title, knob.help):
            assert words.en.isascii()
            assert any("\u4e00" <= c <= "\u9fff" for c in words.zh)


def test_the_import_is_quick_and_needs_no_torch() -> None:
    code = "import sys, time; t = time.process_time(); import core.recipe; print(time.process_time() - t, *sys.modules)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    outputs = [run.stdout.split() for run in runs]
    assert min(float(output[0]) for output in outputs) < 0.2
    assert not {"torch", "numpy", "streamlit", "core.engine"} & set(outputs[0])


@pytest.mark.parametrize(
    ("line", "field", "hint"),
    [
        ("transfer.gradual epochs=3 phases=4", "steps.0.phases", "epochs = 3"),
        ("transfer.pseudo_labels epochs=3 rounds=3", "steps.0.rounds", "at most 2"),
        ("transfer.pseudo_labels mixup=0.2", "steps.0.mixup", "confidence"),
        ("transfer.pseudo_labels cutmix=1.0", "steps.0.cutmix", "confidence"),
    ],
)
def test_options_of_one_step_that_exclude_each_other(line: str, field: str, hint: str) -> None:
    error = fault("labels = 500\n" + steps(line))
    assert (error.code, error.field) == ("conflicting_options", field)
    assert hint in f"{error.given} {error.allowed}"


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("labels = 0", False),
        ("labels = 5000", False),
        ("labels = 4999", True),
        ("shots = 500", False),
        ("shots = 4", True),
    ],
)
def test_pseudo_labels_need_images_without_a_label(line: str, right: bool) -> None:
    text = f"{line}\n" + steps("transfer.pseudo_labels")
    if right:
        assert parse_recipe(text, CATALOG).steps[0].method == "pseudo_labels"
    else:
        error = fault(text)
        assert (error.code, error.field) == ("no_pool", "labels")
        assert "steps.0.method = pseudo_labels" in error.allowed


def test_a_batch_larger_than_the_shots_is_refused() -> None:
    error = fault("shots = 4\n" + steps("transfer.fine_tune batch=64"))
    assert (error.code, error.field) == ("batch_larger_than_data", "steps.0.batch")
    assert "40" in error.allowed
