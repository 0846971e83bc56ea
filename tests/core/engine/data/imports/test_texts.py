"""Texts from a table: what is refused, skipped or taken with a word; and what a bag of words says beside them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

from core.engine.data import Imported, import_data, load_dataset
from core.engine.data.counts import count_dataset
from core.engine.data.imports.class_folders import Wishes
from core.engine.data.imports.encodings import GUESSES, guess
from core.engine.data.imports.imported import home_of
from core.engine.data.imports.tables import is_table, read_table
from core.engine.data.imports.texts import bag_of_words
from core.engine.data.lettering import draw
from core.engine.data.sets.text_topics import TEXT_SAMPLE, text_sample
from core.engine.questions.answer import answer
from core.errors import UserError
from core.workspace import Workspace

WORDS = {"sea": ("wave", "ship", "salt", "gull"), "hill": ("goat", "peak", "snow", "path")}
GOOD = "text,label\n" + "".join(
    f"the {a} and the {b} {n},{label}\n" for label, words in WORDS.items() for a in words for b in words for n in (1, 2)
)  # 64 rows


def given(tmp_path: Path, content: str | bytes, name: str = "texts.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def imported(tmp_path: Path, content: str | bytes, side: int = 0) -> Imported:
    return import_data(given(tmp_path, content), "mine", tmp_path / "datasets", side=side)


def refused(tmp_path: Path, content: str | bytes, code: str) -> UserError:
    """The refusal, which must leave nothing behind."""
    with pytest.raises(UserError) as caught:
        imported(tmp_path, content)
    assert (caught.value.code, caught.value.field) == (code, "path")
    assert caught.value.fix
    folder = tmp_path / "datasets"
    assert not folder.exists() or not list(folder.iterdir())
    return caught.value


def test_a_table_becomes_a_data_set_of_drawn_texts(tmp_path: Path) -> None:
    got = imported(tmp_path, GOOD, side=48)
    assert (got.dataset, got.classes, got.images, got.skipped) == ("mine", 2, 64, [])
    data = load_dataset("mine", 224, folder=tmp_path / "datasets")
    assert (data.classes, data.size, data.channels) == (("hill", "sea"), 48, 1)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [44, 10, 10]
    drawn = {draw(row["text"], 48).tobytes(): row["label"] for row in csv.DictReader(GOOD.splitlines())}
    for part in (data.train, data.validation, data.test):
        for image, label in zip(part.images, part.labels, strict=True):
            assert drawn[image.numpy().tobytes()] == data.classes[label]
    assert load_dataset("mine", 24, folder=tmp_path / "datasets").size == 24
    assert "bag of words" in data.notes[-1]
    assert got.warnings == list(data.notes)


def test_the_job_decides_by_content_and_not_by_name(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path / "ws")
    job = store.create_job("import", {"path": str(given(tmp_path, GOOD, "photos.zip")), "name": "mine", "side": 32})
    answer(job)
    assert job.result()["images"] == 64
    assert count_dataset("mine", 64, store.datasets).data.size == 32


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("encoding", "told"), [("utf-8", ""), ("utf-8-sig", ""), ("utf-16", "utf-16"), ("cp1252", "cp1252")]
)
def test_delimiters_and_encodings(delimiter: str, encoding: str, told: str, tmp_path: Path) -> None:
    text = GOOD.replace(",", delimiter).replace("the wave", "a vague été")
    got = imported(tmp_path, text.encode(encoding))
    assert got.images == 64
    read_as = [warning for warning in got.warnings if "read as" in warning]
    assert [warning.split(",")[0] for warning in read_as] == ([f"the table was read as {told}"] if told else [])
    assert got.encoding == encoding


def test_chinese_in_its_old_encoding(tmp_path: Path) -> None:
    rows = "".join(f"海浪第{n}次,海\n山羊第{n}次,山\n" for n in "一二三四五六七八九十")
    got = imported(tmp_path, f"text,label\n{rows}".encode("gb2312"))
    assert got.classes == 2
    (told,) = [warning for warning in got.warnings if "read as" in warning]
    assert told.startswith("the table was read as gb18030, a guess")
    assert "for example: 海浪第一次,海" in told
    assert "--encoding" in told
    assert any("100.0%" in warning for warning in got.warnings)  # the first sign tells: signs count one by one


def test_cells_are_text_whatever_they_hold(tmp_path: Path) -> None:
    odd = [
        '=HYPERLINK("http://x")',
        "+1",
        "-2",
        "@SUM(A1)",
        "1e5",
        "NaN",
        "<script>",
        "a,b",
        'say ""hi""',
        "two\nlines",
    ]
    rows = "".join(f'"{cell.replace(chr(34), chr(34) * 2)}",null\n' for cell in odd)
    got = imported(tmp_path, GOOD + rows)
    assert (got.images, got.classes, got.skipped) == (64 + len(odd), 3, [])
    data = load_dataset("mine", 96, folder=tmp_path / "datasets")
    assert "null" in data.classes
    images = torch.cat([data.train.images, data.validation.images, data.test.images])
    assert (images == torch.from_numpy(draw('=HYPERLINK("http://x")', 96))).flatten(1).all(1).any()


def test_rows_that_cannot_be_used_are_listed_with_their_reason(tmp_path: Path) -> None:
    bad = "  ,sea\nsomething,\nonly one\na,b,c\n\u200b,hill\nlong label," + "x" * 81 + "\n\n"
    got = imported(tmp_path, GOOD + bad)
    assert got.images == 64
    reasons = {skip["file"]: skip["reason"] for skip in got.skipped}
    assert reasons == {
        "row 66": "no text",
        "row 67": "no label",
        "row 68": "1 cells, while the first line has 2",
        "row 69": "3 cells, while the first line has 2",
        "row 70": "no text",
        "row 71": "a label that is longer than 80 characters or on several lines",
    }


def test_other_columns_cut_texts_and_equal_texts_are_told(tmp_path: Path) -> None:
    rows = "".join(f"9,{'word ' * 60}{n},sea\n" for n in range(3))
    wide = "id,Text,LABEL\n" + "".join(f"1,{line}\n" for line in GOOD.splitlines()[1:]) + rows
    got = imported(tmp_path, wide)
    told = " | ".join(got.warnings)
    assert "columns not used: id" in told
    assert "3 texts are cut off: a side of 96 pixels holds 256 characters" in told
    assert "the same image twice in a class" in told  # cut, they are the same


def test_letters_without_a_font_are_told(tmp_path: Path) -> None:
    got = imported(tmp_path, GOOD.replace("goat", "goat \U00013080\U00013080"))  # an Egyptian hieroglyph
    told = [warning for warning in got.warnings if "no font" in warning]
    assert told
    goats = sum(line.count("goat") for line in GOOD.splitlines())
    assert told[0].startswith(f"{2 * goats} characters")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "missing_path"),
        ("text,label\n", "no_rows"),
        ("text,label\n,\n", "no_rows"),
        ("sentence,topic\na,b\n", "missing_columns"),
        ("just a letter to my aunt\n", "missing_columns"),
        ("\n\ntext,label\na,b\n", "missing_columns"),
        ("text,label,text\na,b,c\n", "column_twice"),
        ('text,label\n"an open quote,sea\n', "bad_table"),
        ("text,label\n" + "a,sea\nb,sea\nc,sea\n", "one_class"),
        ("text,label\na,sea\nb,hill\n", "too_few_images"),
        (GOOD + "a,Sea\nb,Sea\n", "classes_alike"),
        (GOOD.encode("utf-8-sig") + b"\xff\xfe", "unreadable_table"),
    ],
)
def test_refusals_leave_nothing_behind(content: str | bytes, code: str, tmp_path: Path) -> None:
    if code == "missing_path":  # no bytes: nothing says what it is, so it is judged as images are
        with pytest.raises(UserError):
            imported(tmp_path, content)
        return
    refused(tmp_path, content, code)


def test_a_huge_table_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.engine.data.imports.tables.MOST_ROWS", 63)
    assert "63 rows" in refused(tmp_path, GOOD, "table_too_large").given
    monkeypatch.setattr("core.engine.data.imports.tables.MOST_BYTES", 100)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("it was read"))
    refused(tmp_path, GOOD, "table_too_large")


@pytest.mark.parametrize("side", [15, 1025])
def test_squares_have_bounds(side: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="16 to 1024") as caught:
        imported(tmp_path, GOOD, side=side)
    assert caught.value.field == "side"


def test_a_side_is_for_texts_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError) as caught:
        import_data(tmp_path / "photos", "mine", tmp_path / "datasets", side=64)
    assert caught.value.field == "side"
    assert not is_table(tmp_path / "photos")
    assert not is_table(given(tmp_path, b"PK\x03\x04 text,label", "a.csv"))


# the bag of words


def test_the_bag_of_words_counts_words_and_nothing_else() -> None:
    """Beside another classifier on plain counts: words that decide are found by both, shuffled labels by neither."""
    texts = {"train": ["red wine", "red rose", "blue sea", "blue sky"] * 5, "validation": ["red car"], "test": ["blue"]}
    labels = {"train": [0, 0, 1, 1] * 5, "validation": [0], "test": [1]}
    bag = bag_of_words(texts, labels)
    assert bag is not None
    assert (bag.validation, bag.test) == (1.0, 1.0)
    assert bag_of_words({**texts, "train": ["?"] * 20}, labels) is None


def test_the_sample_is_what_its_card_says() -> None:
    texts, topics, places, labels = text_sample()
    assert len(texts) == len(set(texts)) == 1200
    assert topics == ("garden", "kitchen", "music", "railway")
    assert {split: len(where) for split, where in places.items()} == {"train": 780, "validation": 180, "test": 240}
    assert sorted(np.concatenate(list(places.values())).tolist()) == list(range(1200))
    assert np.bincount(labels[places["test"]]).tolist() == [60] * 4
    data = load_dataset("text-topics", 64)
    assert (data.size, data.channels, data.classes) == (64, 1, topics)
    assert torch.equal(data.test.images[0, 0], torch.from_numpy(draw(texts[places["test"][0]], 64)))
    assert load_dataset("text-topics", 28).size == 28
    assert count_dataset("text-topics", 40, Path("nowhere")).data.size == 40
    assert "artificial" in data.notes[0]


def test_the_bag_of_words_in_the_samples_card_was_measured() -> None:
    """Again, and beside naive Bayes on counts, another bag of words, which must be about as good."""
    texts, _, places, labels = text_sample()
    parts = {split: [texts[place] for place in where] for split, where in places.items()}
    truth = {split: labels[where] for split, where in places.items()}
    card = json.loads((TEXT_SAMPLE / "bag-of-words.json").read_text())
    bag = bag_of_words(parts, {split: found.tolist() for split, found in truth.items()})
    assert bag is not None
    assert (card["validation"], card["test"]) == pytest.approx((bag.validation, bag.test))
    assert card["told"] == bag.remark() == load_dataset("text-topics", 28).notes[1]
    counts = CountVectorizer().fit(parts["train"])
    other = MultinomialNB().fit(counts.transform(parts["train"]), truth["train"])
    assert other.score(counts.transform(parts["test"]), truth["test"]) == pytest.approx(bag.test, abs=0.02)
    assert home_of("text-topics", Path("x")).name.startswith("own-")


# encodings and odd tables

WRITTEN = {
    "gb18030": ("今天天气很好，我们去公园散步", "这家餐厅的服务态度太差了", "镕基先生的儿子在草地上踢球，㐂"),
    "big5": ("今天天氣很好，我們去公園散步", "這家餐廳的服務態度太差了", "體育新聞 台灣棒球"),
    "cp932": (
        "今日は天気がとてもいいので散歩に行きました。",
        "このレストランのサービスはひどい",
        "東京都港区のニュース",
    ),
    "cp949": ("오늘은 날씨가 매우 좋아서 산책하러 갔습니다", "이 식당의 서비스는 정말 나빴어요", "스포츠 뉴스 야구"),
    "cp1250": ("Zażółć gęślą jaźń", "Dziś jest bardzo ładna pogoda, więc poszliśmy do parku", "źle, dobrze, świetnie"),
    "cp1251": ("Сегодня очень хорошая погода, мы пошли в парк", "ПЛОХОЙ СЕРВИС", "кошка и собака"),
    "cp1252": ("Ein schöner Tag für einen Spaziergang, Größe", "Il a mangé à l'école, ça va", "El niño comió una piña"),
    "koi8_r": ("Сегодня очень хорошая погода, мы пошли в парк", "кошка и собака", "плохой сервис"),
    "euc_jp": ("今日は天気がとてもいいので散歩に行きました。", "このレストランのサービスはひどい", "猫と犬、りんご"),
    "cp1253": ("Σήμερα ο καιρός είναι πολύ καλός", "η γάτα και ο σκύλος", "κακή εξυπηρέτηση"),
    "cp1255": ("זה סרט טוב מאוד ואני ממליץ עליו לכולם", "לא אהבתי את הסרט", "החתול והכלב בגינה"),
    "cp1256": ("هذا فيلم جيد جدا وأنا أوصي به للجميع", "لم يعجبني الفيلم", "الخدمة سيئة في هذا المطعم"),
    "cp874": ("นี่เป็นหนังที่ดีมากและฉันแนะนำให้ทุกคน", "ไม่ชอบเลย แย่มาก", "แมวกับหมาอยู่ในสวน"),
    "cp1257": ("tai labai geras filmas, žiūrėk jį ąčiū", "ļoti laba filma, šī ir īsta māksla", "šiandien gražus oras"),
    "iso8859_5": ("Сегодня очень хорошая погода, мы пошли в парк", "кошка и собака", "плохой сервис"),
    "mac_roman": (
        "Ein schöner Tag für einen Spaziergang, Größe",
        "Il a mangé à l'école, ça va",
        "El niño comió una piña",
    ),
    "utf-16-le": ("今天天气很好", "Zażółć gęślą jaźń", "plain words"),
    "utf-16-be": ("今天天气很好", "Zażółć gęślą jaźń", "plain words"),
}


def rows(texts: tuple[str, ...]) -> str:
    """A table of two labels in which every text occurs in six rows."""
    lines = [f'"{text} {n}","{"ab"[n % 2]}"\n' for text in texts for n in range(6)]
    return "text,label\n" + "".join(lines)


@pytest.mark.parametrize("encoding", WRITTEN)
def test_an_encoding_that_nothing_states_is_guessed_right_and_said(encoding: str, tmp_path: Path) -> None:
    table = read_table(given(tmp_path, rows(WRITTEN[encoding]).encode(encoding)))
    assert {text.rpartition(" ")[0] for text in table.texts.values()} == set(WRITTEN[encoding])
    assert table.encoding == encoding
    (told,) = table.warnings
    assert f"read as {encoding}, a guess" in told
    assert any(text in told for text in WRITTEN[encoding])


@pytest.mark.parametrize("encoding", [name for name in WRITTEN if not name.startswith("utf")])
def test_a_few_words_are_enough_for_a_guess(encoding: str) -> None:
    """Each text alone, all but one at most."""
    right = [
        data.decode(guess(data, GUESSES, "latin-1")) == text
        for text in WRITTEN[encoding]
        for data in [text.encode(encoding)]
    ]
    assert sum(right) >= len(right) - 1


def test_the_guess_can_be_overruled(tmp_path: Path) -> None:
    data = rows(WRITTEN["cp1252"]).encode("cp1252")
    table = read_table(given(tmp_path, data), "cp1250")
    assert table.encoding == "cp1250"
    assert not table.warnings
    assert any("ŕ" in text for text in table.texts.values())  # what à becomes
    with pytest.raises(UserError, match="--encoding"):
        read_table(given(tmp_path, data), "utf-8")
    for name in ("klingon", "rot13", "hex", "idna\0"):
        with pytest.raises(UserError) as caught:
            import_data(given(tmp_path, data), "mine", tmp_path / "datasets", encoding=name)
        assert caught.value.field == "encoding"


def test_utf_16_without_a_mark_is_a_table(tmp_path: Path) -> None:
    got = imported(tmp_path, GOOD.encode("utf-16-le"))
    assert (got.images, got.encoding) == (64, "utf-16-le")


@pytest.mark.parametrize("line", ["sep=;\n", "sep=;\r\n", '"sep=;"\n', "SEP=;\n", "\ufeffsep=;\n"])
def test_the_hint_of_a_spreadsheet_is_no_row(line: str, tmp_path: Path) -> None:
    table = read_table(given(tmp_path, line + GOOD.replace(",", ";") + "only one\n"))
    assert len(table.texts) == 64
    assert table.skipped == [{"file": "row 66", "reason": "1 cells, while the first line has 2"}]


def test_an_odd_delimiter_that_the_hint_names(tmp_path: Path) -> None:
    assert len(read_table(given(tmp_path, "sep=^\n" + GOOD.replace(",", "^"))).texts) == 64
    for delimiter in ("|", "，"):
        assert len(read_table(given(tmp_path, GOOD.replace(",", delimiter))).texts) == 64


def test_an_overlong_row_is_skipped_and_the_others_are_read(tmp_path: Path) -> None:
    """Longer than Python's csv module reads by itself, and than we draw."""
    table = read_table(given(tmp_path, GOOD + f"{'x' * 200_000},sea\n" + "last,sea\n"))
    assert table.skipped == [{"file": "row 66", "reason": "a text of more than 100,000 characters"}]
    assert len(table.texts) == 65
    assert csv.field_size_limit() == 131_072


def test_headers_as_other_programs_write_them(tmp_path: Path) -> None:
    index = "".join(f"{n},{line}\n" for n, line in enumerate(GOOD.splitlines()[1:]))
    table = read_table(given(tmp_path, ",text,label\n" + index))
    assert len(table.texts) == 64
    assert table.warnings == ["columns not used: one without a name"]
    assert len(read_table(given(tmp_path, GOOD.replace("text,label", ' "Text" ,\u200bLABEL '))).texts) == 64


def test_labels_that_are_alike_can_be_merged(tmp_path: Path) -> None:
    content = GOOD + "a,Sea\nb,sea\u200b\nc,ｓｅａ\n"
    error = refused(tmp_path, content, "classes_alike")
    assert error.choices[0].flags == "--merge"
    got = import_data(given(tmp_path, content), "mine", tmp_path / "datasets", wishes=Wishes(merge=True))
    assert (got.classes, got.images) == (2, 67)


@pytest.mark.parametrize(
    ("field", "wishes", "shape"),
    [("shape", Wishes(), "pad"), ("classes_from", Wishes("top"), "crop"), ("splits", Wishes(splits=False), "crop")],
)
def test_what_is_for_folders_is_refused_for_a_table(field: str, wishes: Wishes, shape: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        import_data(given(tmp_path, GOOD), "mine", tmp_path / "datasets", wishes=wishes, shape=shape)
    assert caught.value.field == field


@pytest.mark.parametrize("inside", [("[Content_Types].xml", "xl/workbook.xml"), ("mimetype", "content.xml")])
def test_a_workbook_is_called_one(inside: tuple[str, ...], tmp_path: Path) -> None:
    """It is a zip, of which none is an image."""
    with ZipFile(tmp_path / "mails.xlsx", "w") as packed:
        for name in inside:
            packed.writestr(name, "<x/>")
    with pytest.raises(UserError, match="CSV") as caught:
        import_data(tmp_path / "mails.xlsx", "mails", tmp_path / "sets")
    assert caught.value.code == "workbook"
