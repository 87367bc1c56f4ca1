"""HTML that is made of elements, never of text: whatever a stranger wrote stays text.

The page needs no network and no script: a Content-Security-Policy forbids all but its own styles,
its own script, which sorts tables, and pictures within the file.
"""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from xml.etree import ElementTree as ET

from gan_nas.reports.style import SCRIPT, STYLE
from gan_nas.runs.figures import LARGEST

Content = ET.Element | str
MISSING = "-"
LONG = 40  # characters of a text that gets room of its own
MOST = 2_000  # characters of a text: a file may hold any


def element(tag: str, *content: Content | None, **attributes: str | None) -> ET.Element:
    """Return an element of what it holds; None is nothing, and `class_` is the class."""
    made = ET.Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), plain(value))
    for part in content:
        if isinstance(part, ET.Element):
            made.append(part)
        elif part is not None:
            _add_text(made, plain(part))
    return made


def plain(text: str) -> str:
    """Return a text without what nobody sees: line ends stay, others get a replacement."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


class Cell(tuple[str, float | None]):
    """What a cell of a table says, and the number that it is sorted by, if it is one."""

    __slots__ = ()


def number(value: object, form: str = ".4g") -> Cell:
    """Return a cell with a number, by a format if it is no whole one; what is none says so."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return words(value)
    text = f"{value:,}" if isinstance(value, int) else f"{value:{form}}"
    return Cell((_cut(text), float(value) if abs(value) <= LARGEST else None))


def words(value: object) -> Cell:
    """Return a cell with a text."""
    return Cell((MISSING if value is None else _cut(str(value)), None))


def _cut(text: str) -> str:
    return text if len(text) <= MOST else f"{text[: MOST - 1]}\N{HORIZONTAL ELLIPSIS}"


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]], caption: str = "") -> ET.Element:
    """Return a table that can be sorted by each column, in a frame that scrolls sideways."""
    numeric = [
        any(row[i][1] is not None for row in rows)
        and all(row[i][1] is not None or row[i][0] == MISSING for row in rows)
        for i in range(len(heads))
    ]
    head = element("tr")
    for name, right in zip(heads, numeric, strict=True):
        head.append(element("th", name, scope="col", class_="n" if right else None))
    body = element("tbody")
    for row in rows:
        line = element("tr")
        for (text, value), right in zip(row, numeric, strict=True):
            key = None if value is None else repr(value)
            kind = "n" if right else "t" if len(text) > LONG else None
            line.append(element("td", text, class_=kind, data_key=key))
        body.append(line)
    made = element("table", class_="sortable")
    if caption:
        made.append(element("caption", caption))
    made.append(element("thead", head))
    made.append(body)
    return element("div", made, class_="wide", tabindex="0")


def facts(pairs: Sequence[tuple[str, Content | None]]) -> ET.Element:
    """Return names with what belongs to them; those without are left out."""
    made = element("dl")
    for name, content in pairs:
        if content is not None and content != "":
            made.append(element("dt", name))
            made.append(element("dd", _cut(content) if isinstance(content, str) else content))
    return made


def page(title: str, body: Sequence[ET.Element]) -> str:
    """Return a whole file."""
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(STYLE)}'; "
        f"script-src '{_hash(SCRIPT)}'; base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
    )
    for tag, text in (("style", STYLE), ("script", SCRIPT)):
        own = ET.Element(tag)
        own.text = text  # not escaped in either, and nobody's but ours
        (head if tag == "style" else body[-1]).append(own)
    root = element("html", head, element("body", *body), lang="en")
    return "<!doctype html>\n" + ET.tostring(root, encoding="unicode", method="html") + "\n"


def data_uri(content: bytes, kind: str) -> str:
    """Return bytes as a URI that holds them."""
    return f"data:{kind};base64,{b64encode(content).decode()}"


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _add_text(made: ET.Element, text: str) -> None:
    if len(made):
        made[-1].tail = (made[-1].tail or "") + text
    else:
        made.text = (made.text or "") + text
