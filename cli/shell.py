"""Commands as lines that a POSIX shell splits back into the very same words."""

import os
import shlex
from pathlib import Path

from gan_nas.escapes import is_visible


def command_line(*words: str | Path) -> str:
    """Return words as one line to type; a path never looks like an option."""
    return " ".join(_quoted(as_path(word) if isinstance(word, Path) else word) for word in words)


def as_path(path: str | Path) -> str:
    """Return a path in a form that cannot be taken for an option: -x as ./-x."""
    text = str(path)
    return f"./{text}" if text.startswith("-") else text


def _quoted(word: str) -> str:
    """Quote a word; what cannot be seen is written by printf, which every POSIX shell has.

    The shell drops newlines at the end of what printf wrote, so those stand as they are.
    """
    if is_visible(word):
        return shlex.quote(word)
    body = word.rstrip("\n")
    end = f"'{word[len(body) :]}'" if len(body) < len(word) else ""
    if is_visible(body):
        return shlex.quote(body) + end
    written = "".join(map(_octal, os.fsencode(body)))
    return f"\"$(printf '{written}')\"{end}"


def _octal(byte: int) -> str:
    """Return a byte in a format of printf, in the simplest way that means itself."""
    char = chr(byte)
    is_plain = char.isascii() and char.isprintable() and char not in "'\\%-"
    return char if is_plain else f"\\{byte:03o}"
