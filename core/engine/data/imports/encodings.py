"""Guesses the encoding of a text: of those that fit, the one in which it looks most like a language.

Each candidate is an encoding with a language that gives a weight to each character. A text's score is the mean weight
of its non-ASCII characters: 1 for letters of the alphabet, or the commonest characters of Chinese, Japanese and Korean;
less for rarer characters in the first level of the encoding's own standard; 0 for all others. Capitals inside words and
letters next to another script weigh 0. Commonest characters: about a hundred per language, as counted in newspapers;
they make up about half of a text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

SAMPLE = 20_000  # non-ASCII characters examined
LEAST = 0.34  # below this score nothing is plausible
COMMON, RARE = 0.6, 0.15  # weight of characters in the first level of the standard, and in the rest of it
CAPITALS = 0.9  # weight of a capital behind another: koi8_r and cp1251 read each other's letters in the other case

_SIMPLIFIED = (
    "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然"
    "没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些与高意进把法此实回二理"
)
_TRADITIONAL = (
    "的一是不了人我在有他這中大來上國個到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可她裡後小麼心多天而能好都然"
    "沒日於起還發成事只作當想看文無開手十用主行方又如前所本見經頭面公同三已老從動兩長知民樣現分將外但身些與高意進把法此實回二理"
)
_KOREAN = (
    "이다는에의가을고를하지은한도로사기어리아서대자나시그라인들있수해일정전부제보장만과으원것주여스무게상소니저구성동오비면공신마요"
    "적와경조화유용국연세관미않안선생위계없진물금방트거당모년실중할했습개내때음분행내말간력문명"
)
_ALPHABETS = {
    "German": "äöüßé",
    "French": "éèêëàâçîïôûùüœ",
    "Spanish": "áéíóúñü",
    "Portuguese": "ãõáéíóúâêôçàü",
    "Italian": "àèéìòù",
    "Nordic": "åäöæøéü",
    "Dutch": "ëïéèöü",
    "Icelandic": "áéíóúýþæðö",
    "Polish": "ąćęłńóśźż",
    "Czech": "áčďéěíňóřšťúůýž",
    "Slovak": "áäčďéíĺľňóôŕšťúýž",
    "Hungarian": "áéíóöőúüű",
    "Romanian": "ăâîşţ",
    "Croatian": "čćđšž",
    "Turkish": "çğıöşüâî",
    "Greek": "αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώϊϋΐΰ",
    "Russian": "абвгдежзийклмнопрстуфхцчшщъыьэюяё",
    "Ukrainian": "абвгдежзийклмнопрстуфхцчшщьюяєіїґ",
    "Bulgarian": "абвгдежзийклмнопрстуфхцчшщъьюя",
    "Lithuanian": "ąčęėįšųūž",
    "Latvian": "āčēģīķļņšūž",
    "Estonian": "õäöüšž",
    "Hebrew": "אבגדהוזחטיךכלםמןנסעףפץצקרשת",
    "Arabic": "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىي",
    "Persian": "ءآأئابپتثجچحخدذرزژسشصضطظعغفقکكگلمنهوىيی",
    "Thai": "กขคฆงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรฤลวศษสหฬอฮฯะัาำิีึืฺุูเแโใไๅๆ็่้๊๋์",
}
_FREQUENT = {
    "Russian": "оеаинтсрвлкмдпу",
    "Ukrainian": "оаниівертскдлпу",
    "Bulgarian": "аеиотнрсвлдкпмъ",
    "Greek": "αοειτσνηυρπκλμςόίά",
    "Hebrew": "יוהלאתמרבשנםעדחפק",
    "Arabic": "اليمونترهبدعفسكقةحأ",
    "Persian": "ایيردنهومتبسشکكلزگخ",
    "Thai": "านรอกเง่้มยวลัดท็ีสะต์คิห",
}
_QUOTES = "“”„‘’‚–—…€«»‹›°§№¡¿·"
_FULL_WIDTH = "、。，！？：；（）「」『』《》“”‘’…—・　"


@dataclass(frozen=True)
class Candidate:
    """An encoding together with a language, which gives the weights of characters."""

    encoding: str
    language: str


GUESSES = (
    Candidate("gb18030", "Chinese"),
    Candidate("big5", "Traditional"),
    Candidate("cp932", "Japanese"),
    Candidate("cp949", "Korean"),
    Candidate("euc_jp", "Japanese"),
    *(
        Candidate("cp1252", name)
        for name in ("German", "French", "Spanish", "Portuguese", "Italian", "Nordic", "Dutch", "Icelandic")
    ),
    *(Candidate("cp1250", name) for name in ("Polish", "Czech", "Slovak", "Hungarian", "Romanian", "Croatian")),
    *(Candidate("cp1251", name) for name in ("Russian", "Ukrainian", "Bulgarian")),
    Candidate("iso8859_2", "Polish"),
    Candidate("iso8859_2", "Czech"),
    Candidate("koi8_r", "Russian"),
    Candidate("cp866", "Russian"),
    Candidate("cp1253", "Greek"),
    Candidate("cp1254", "Turkish"),
    *(Candidate("cp1257", name) for name in ("Lithuanian", "Latvian", "Estonian")),
    Candidate("cp1255", "Hebrew"),
    Candidate("cp1256", "Arabic"),
    Candidate("cp1256", "Persian"),
    Candidate("cp874", "Thai"),
    Candidate("iso8859_5", "Russian"),
    Candidate("iso8859_6", "Arabic"),
    *(Candidate("mac_roman", name) for name in ("German", "French", "Spanish", "Portuguese", "Italian", "Nordic")),
)
ZIP_GUESSES = (
    *(each for each in GUESSES if each.encoding in ("gb18030", "big5", "cp932", "cp949", "euc_jp", "cp866")),
    *(Candidate("cp437", name) for name in ("German", "French", "Spanish", "Italian", "Nordic")),
    *(Candidate("cp850", name) for name in ("Portuguese", "Nordic", "Icelandic")),
    *(Candidate("cp852", name) for name in ("Polish", "Czech", "Hungarian")),
)


def decodes(data: bytes, encoding: str) -> bool:
    """Whether all of `data` is text in `encoding`."""
    try:
        data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def guess(data: bytes, candidates: Sequence[Candidate], otherwise: str) -> str:
    """The encoding of the most plausible candidate, the first among equals; `otherwise` if none is plausible."""
    best, chosen = LEAST, otherwise
    for candidate in candidates:
        try:
            found = score(data.decode(candidate.encoding), candidate)
        except UnicodeDecodeError:
            continue
        if found > best:
            best, chosen = found, candidate.encoding
    return chosen


def score(text: str, candidate: Candidate) -> float:
    """The mean weight of the non-ASCII characters, from 0 to 1; punctuation counts little."""
    weigh, total, count = _weights(candidate), 0.0, 0.0
    for place, character in enumerate(text):
        if character < "\x80":
            continue
        share = 0.1 if character in _QUOTES or character in _FULL_WIDTH else 1.0
        total += share * weigh(text, place)
        count += share
        if count >= SAMPLE:
            break
    return total / count if count else 0.0


def utf16_without_mark(data: bytes) -> str:
    """`utf-16-le` or `utf-16-be` if every other byte of many characters is NUL; otherwise ''."""
    if len(data) < 4 or len(data) % 2:
        return ""
    even, odd = (data[start : 2 * SAMPLE : 2].count(0) for start in (0, 1))
    pairs = len(data[: 2 * SAMPLE]) // 2
    if max(even, odd) < pairs * 0.05 or min(even, odd) > max(even, odd) * 0.1:
        return ""
    name = "utf-16-le" if odd > even else "utf-16-be"
    return name if decodes(data, name) else ""


Weigh = Callable[[str, int], float]


@cache
def _weights(candidate: Candidate) -> Weigh:
    if candidate.language in _ALPHABETS:
        return _alphabet(candidate.language)
    return _signs(candidate)


def _alphabet(language: str) -> Weigh:
    """Weights for an alphabet: capitals only at the start of a word or in a word of capitals; accented Latin letters
    must be single, letters of other scripts must form words."""
    frequent = _FREQUENT.get(language, "")
    letters = {c: 1.0 if not frequent or c in frequent else COMMON for c in _ALPHABETS[language]}
    latin = max(letters) < "\u0250"

    def weigh(text: str, place: int) -> float:
        character = text[place]
        if character in _QUOTES:
            return COMMON
        before = text[place - 1] if place else " "
        after = text[place + 1] if place + 1 < len(text) else " "
        if character.isupper() and before.isalpha() and not (before.isupper() and not after.islower()):
            return 0.0
        near = [each for each in (before, after) if not each.isascii() and each not in _QUOTES]
        if latin:
            fits = len(near) < 2
        else:
            mixed = any(each.isascii() and each.isalpha() for each in (before, after))
            fits = bool(near) and not mixed and all(each.lower() in letters for each in near)
        loud = CAPITALS if not latin and character.isupper() and before.isupper() else 1.0
        return loud * letters.get(character.lower(), 0.0) if fits else 0.0

    return weigh


def _signs(candidate: Candidate) -> Weigh:
    """Weights for Chinese, Japanese or Korean: the commonest characters, the standard's first level, and the rest."""
    frequent = {"Chinese": _SIMPLIFIED, "Traditional": _TRADITIONAL, "Korean": _KOREAN}.get(candidate.language, "")
    known: Mapping[str, float] = dict.fromkeys(frequent, 1.0)

    def weigh(text: str, place: int) -> float:
        character = text[place]
        if character in known or (candidate.language == "Japanese" and "\u3041" <= character <= "\u30fe"):
            return 1.0
        if character in _FULL_WIDTH:
            return COMMON
        return _level(character, candidate.language)

    return weigh


@cache
def _level(character: str, language: str) -> float:
    """The weight of a character by its level in the national standard: GB 2312, Big5, JIS X 0208 or KS X 1001, whose
    first levels hold the commoner characters."""
    standard, first, last = {
        "Chinese": ("gb2312", 0xB0, 0xD7),
        "Traditional": ("big5", 0xA4, 0xC6),
        "Japanese": ("euc_jp", 0xB0, 0xCF),
        "Korean": ("euc_kr", 0xB0, 0xC8),
    }[language]
    try:
        code = character.encode(standard)
    except UnicodeEncodeError:
        return 0.0
    if len(code) != 2 or unicodedata.category(character)[0] != "L":
        return 0.0
    if first <= code[0] <= last:
        return COMMON
    return 0.0 if language == "Korean" else RARE
