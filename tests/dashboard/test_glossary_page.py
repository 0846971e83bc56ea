"""The page Glossary, and the links that lead to it: from every knob, number and page, in the same session."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog import load_catalog
from core.events import RunFinished
from core.recipe_options import RECIPE_OPTIONS
from core.text.glossary import load_glossary
from core.workspace import Workspace
from dashboard import frame, terms
from dashboard.addresses import address_of
from dashboard.charts import layer_costs
from dashboard.charts.front import AREAS, COSTS, QUALITIES
from dashboard.glossary import entry
from dashboard.i18n import speaking, vocabulary
from dashboard.inspect.views import VIEWS
from dashboard.option_words import help_of
from dashboard.session import LANGUAGES, Language
from tests.browser import Site, Watched, violations, wait_until_drawn
from tests.dashboard.test_pages import make, shown, text

LINK = re.compile(r"\[([^\[\]]+)\]\(glossary\?term=([a-z0-9-]+)&lang=(en|zh)\)")
IN_VIEW = """(id) => {
  const box = document.querySelector(`.st-key-glossary_term_${id}`)?.getBoundingClientRect();
  return box !== undefined && box.top >= 0 && box.bottom <= innerHeight;
}"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path))
    return Workspace.open_or_create(tmp_path)


def led_to(told: str, language: Language) -> list[str]:
    """The ids of the terms that a text links to; each is there, and is called so in that language."""
    found = load_glossary().terms
    links = LINK.findall(told)
    assert told.count("glossary?term=") == len(links), told
    for name, ident, spoken in links:
        assert spoken == language
        assert name == found[ident].names(language)[0]
    return [ident for _, ident, _ in links]


# where links come from


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_help_of_every_main_knob_ends_with_its_terms(language: Language) -> None:
    with speaking(language):
        for option in RECIPE_OPTIONS:
            assert led_to(help_of(option, f"recipe.{option.name}").splitlines()[-1], language), option.name
        for stage, methods in load_catalog().methods.items():
            for name, entry in methods.items():
                for option in entry.options:
                    last = help_of(option, f"{stage}.{name}.{option.name}").splitlines()[-1]
                    assert led_to(last, language) or not option.first, (name, option.name)


def test_a_knob_without_a_term_has_no_link() -> None:
    with speaking("en"):
        option = load_catalog().method("distill", "kd").options[0]
        assert "glossary" not in help_of(option, "distill.new_method.new_option")
        assert help_of(option) == help_of(option, "distill.new_method.new_option")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_number_and_view_is_explained(language: Language) -> None:
    numbers = [f"tradeoffs.{name}" for name in {*COSTS, *QUALITIES, *AREAS}]
    views = [f"inspect.view_{name}" for name in VIEWS]
    others = [f"layers.measure_{name}" for name in layer_costs.MEASURES]
    others += [
        f"search.{name}" for name in ("history", "front_title", "importance", "slice", "sweep_title", "accuracy")
    ]
    others += [f"design.column_{name}" for name in ("params", "macs", "file")]
    with speaking(language):
        for key in (*numbers, *views, *others):
            assert led_to(terms.of_words(key), language), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_explained_at_its_head(language: Language) -> None:
    with speaking(language):
        for page in frame.PAGES:
            told = frame.about("" if page == "home" else address_of(page))
            assert bool(led_to(told, language)) == (page != "glossary"), page


def test_every_phrase_that_a_term_explains_is_there() -> None:
    rooms = vocabulary("en")
    for term in load_glossary().terms.values():
        for key in term.words:
            room, _, name = key.partition(".")
            assert name in rooms.get(room, {}), (term.id, key)


def test_design_hands_its_places_on(workspace: Workspace) -> None:
    app = shown("design")
    fields = [*app.slider, *app.number_input, *app.toggle]
    assert len(fields) > 20
    for one in fields:
        if "_more" not in str(one.key) and "vary" not in str(one.key):
            assert led_to(one.help or "", "en"), one.key
    assert any("term=linear-probe" in caption.value for caption in app.caption)
    assert any({"macs", "weights"} <= set(led_to(one.help or "", "en")) for one in app.markdown), "the preview's heads"


def test_the_heads_of_the_table_of_points_are_explained(workspace: Workspace) -> None:
    make(workspace, steps=1)
    (head,) = [one for one in shown("tradeoffs").subheader if one.help]
    assert {"accuracy", "file-size", "macs"} <= set(led_to(head.help or "", "en"))


@pytest.mark.thorough
def test_live_links_the_terms_of_what_happens(workspace: Workspace) -> None:
    run = make(workspace, steps=1)
    told = next(one.value for one in shown("live", run=run.id).markdown if "What is happening?" in one.value)
    assert {"student", "teacher"} <= set(led_to(told, "en"))
    run.emit(RunFinished())
    told = next(one.value for one in shown("live", "zh", run=run.id).markdown if "发生了什么" in one.value)
    assert {"student", "teacher"} <= set(led_to(told, "zh"))


# the page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_every_term_with_where_it_leads(workspace: Workspace, language: Language) -> None:
    told = text(shown("glossary", language))
    for term in load_glossary().terms.values():
        assert f"**{term.names(language)[0]}**" in told
    assert "Hinton et al. 2015" in told
    assert set(led_to(told, language)) >= {"logits", "soft-label"}


def test_a_term_is_looked_for_in_both_languages_and_by_topic(workspace: Workspace) -> None:
    app = shown("glossary")
    app.text_input(key="glossary_find_").set_value("kl DIV").run()
    assert heads(app)[0] == "KL divergence"
    assert "Temperature" not in heads(app)
    app.text_input(key="glossary_find_").set_value("温度").run()
    assert heads(app)[0] == "Temperature"
    app.text_input(key="glossary_find_").set_value("<b>nothing").run()
    assert heads(app) == []
    assert "No term contains" in text(app)
    app.text_input(key="glossary_find_").set_value("").run()
    app.segmented_control(key="glossary_topic_").set_value("pruning").run()
    pruning = {t.name.en for t in load_glossary().terms.values() if t.topic == "pruning"}
    assert set(heads(app)) == pruning


@pytest.mark.thorough
def test_an_address_leads_to_a_term_until_another_is_looked_for(workspace: Workspace) -> None:
    app = shown("glossary", term="temperature")
    assert "Temperature" in heads(app)
    app.text_input(key="glossary_find_temperature").set_value("mixup").run()
    assert not app.exception
    assert "term" not in app.query_params
    assert heads(app)[0] == "Mixup"
    assert "not in this glossary" in text(shown("glossary", term="../etc"))


def test_inflections_are_found_but_not_listed_as_other_names() -> None:
    assert entry.others_of(("Fine-tuning", "fine-tune", "fine-tuned")) == []
    assert entry.others_of(("Latency", "p50", "p95", "median latency")) == ["p50", "p95", "median latency"]
    assert entry.others_of(("Pretraining", "pretrained", "pretrained weights")) == ["pretrained weights"]
    assert entry.others_of(("混淆矩阵", "混淆")) == ["混淆"]
    found = load_glossary().of_text("It was fine-tuned and pruned.", "en")
    assert [term.id for term in found] == ["fine-tuning", "pruning"]


def heads(app: AppTest) -> list[str]:
    """The names of the terms that are shown, in order."""
    names = {term.name.en for term in load_glossary().terms.values()}
    found = (re.match(r"\*\*(.+?)\*\*", str(one.value)) for one in app.markdown)
    return [one[1] for one in found if one and one[1] in names]


# in a browser


@pytest.mark.thorough
def test_a_link_is_followed_in_the_same_session_and_brings_its_term_into_view(site: Site, watched: Watched) -> None:
    page = watched.page
    page.goto(site.at("design?lang=en"))
    wait_until_drawn(page)
    page.evaluate("window.same = true")
    name = page.get_by_label("Name", exact=True)
    name.fill("kept while reading")
    name.press("Enter")
    wait_until_drawn(page)
    page.locator("[data-testid=stMain] h2 [data-testid=stTooltipIcon]").first.hover()
    page.get_by_role("link", name="Recipe", exact=True).click()
    page.wait_for_url("**/glossary?term=recipe&lang=en")
    page.wait_for_function(IN_VIEW, arg="recipe")
    assert page.evaluate("document.activeElement.className").count("st-key-glossary_term_recipe")
    page.locator(".st-key-glossary_term_recipe").get_by_role("link", name="Seed").click()
    page.wait_for_url("**/glossary?term=seed&lang=en")
    page.wait_for_function(IN_VIEW, arg="seed")
    assert violations(page) == []
    page.go_back()
    page.wait_for_function(IN_VIEW, arg="recipe")
    page.go_back()
    page.wait_for_url("**/design*")
    page.wait_for_selector("input[value='kept while reading']")
    assert page.evaluate("window.same") is True, "the page was not loaded anew"
    watched.is_clean()
