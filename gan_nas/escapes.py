"""Texts that others wrote, made safe to look at: names of files, passports, metadata.

A terminal obeys control characters: they move its cursor, rename its window, type for its user.
Bidirectional overrides and invisible letters make a text look like another. All of them are spelled
out, as Python spells them.
"""

import re

# Letters that are printable for Unicode and show nothing: fillers, joiners, variation selectors.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def visible(text: str, *, keep: str = "") -> str:
    """Return the text with whatever cannot be seen spelled out, as Python spells it.

    `keep` are characters to leave, such as newlines. Bytes of file names that are no UTF-8 come
    from Python as lone surrogates and go as two hex digits, like control characters.
    """
    if is_visible(text):
        return text
    return "".join(c if c in keep or is_visible(c) else _spelled(c) for c in text)


def is_visible(text: str) -> bool:
    """Tell whether a text looks like what it is."""
    return text.isprintable() and not _BLANK.search(text)


def visible_json(text: str) -> str:
    """Return JSON that `json.dumps` wrote, with the one control character spelled out it leaves."""
    return text.replace("\x7f", "\\u007f")


def _spelled(char: str) -> str:
    undecoded = ord(char) - 0xDC00
    return f"\\x{undecoded:02x}" if 0x80 <= undecoded <= 0xFF else ascii(char)[1:-1]
