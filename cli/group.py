"""How commands are found: two words for one command, completion of both, options from a file."""

import inspect
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gan_nas.errors import InvalidInput, nearest
from gan_nas.files import read_text

OPTION = "--config"
LIMIT = 1 << 14  # bytes of its file: nested names take the square of their length
FIRST = "gan_nas.first_word"  # of a command whose second is being completed
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        OPTION,
        metavar="FILE.toml",
        help="Options of this command by name, and a table [set]; what is typed goes before.",
    ),
]


class Commands(TyperGroup):
    """A group that knows commands of two words, such as `table make` beside `table`.

    Typer knows no command that has both an argument of its own and sub-commands.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command of the first two words, if there is one, else of the first.

        While a second word is being completed there is no command yet.
        """
        if ctx.resilient_parsing and len(args) == 1 and self._seconds(args[0]):
            ctx.meta[FIRST] = args[0]
            return None, None, []
        return super().resolve_command(ctx, joined(args, self.commands))

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Return what may come next: the first words of commands, or their second ones."""
        first = ctx.meta.get(FIRST)
        if first is None:
            found = super().shell_complete(ctx, incomplete)
            return [item for item in found if " " not in item.value]
        found = super().shell_complete(ctx, f"{first} {incomplete}")
        for item in found:
            item.value = item.value.removeprefix(f"{first} ")
        alone: Any = self.commands[first]
        for parameter in alone.params:
            if not parameter.opts[0].startswith("-"):
                found += parameter.shell_complete(ctx, incomplete)
        return found + alone.shell_complete(ctx, incomplete)

    def _seconds(self, first: str) -> list[str]:
        return [name for name in self.commands if name.startswith(f"{first} ")]


def joined(words: Sequence[str], commands: Mapping[str, object]) -> list[str]:
    """Return words of which the first two are one where that is a command."""
    both = " ".join(words[:2])
    return [both, *words[2:]] if both in commands else list(words)


def configurable(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command have the option --config, which `with_file` has already obeyed when it runs."""

    @wraps(command)
    def called(*, config_file: Path | None = None, **values: Any) -> None:
        del config_file
        command(**values)

    signature = inspect.signature(command)
    option = inspect.Parameter(
        "config_file", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ConfigFile
    )
    # It stands before --json, which ends all lists.
    *first, last = signature.parameters.values()
    last = last.replace(kind=inspect.Parameter.KEYWORD_ONLY)
    called.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*first, option, last]
    )
    called.__annotations__ = {**command.__annotations__, "config_file": ConfigFile}
    return called


def with_file(words: Sequence[str], parameters: Sequence[Any]) -> list[str]:
    """Return a command's words with the options of its --config FILE before those typed.

    `parameters` are those of the command, as click has them. So what is typed counts, being last;
    of --set KEY=VALUE, all do. Raises InvalidInput for a file that is no TOML, and for names and
    values that are no option's.
    """
    own = list(words[1 : words.index("--")] if "--" in words else words[1:])
    paths = [word.partition("=")[2] for word in own if word.startswith(f"{OPTION}=")]
    paths += [path for word, path in pairwise(own) if word == OPTION]
    if not paths:
        return list(words)
    if len(paths) > 1:
        raise InvalidInput(f"{OPTION} is given twice: name one file")
    path = Path(paths[0])
    options = {
        name.lstrip("-").replace("-", "_"): (name, parameter)
        for parameter in parameters
        for name in parameter.opts
        if name.startswith("-") and name not in (OPTION, "--help", "-h")
    }
    typed: list[str] = []
    for key, value in _read(path).items():
        known = options.get(key.replace("-", "_"))
        if known is None:
            hint = nearest(key.replace("-", "_"), list(options))
            raise InvalidInput(
                f"{path} names {key!r}, which is no option of gan-nas {words[0]}"
                f"{hint or '; its --help lists them'}"
            )
        name, parameter = known
        typed += _words(path, name, value, parameter)
    return [words[0], *typed, *words[1:]]


def _read(path: Path) -> dict[str, Any]:
    text = read_text(path, LIMIT)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is no other
        raise InvalidInput(f"{path} is not a TOML file: {error}") from error


def _words(path: Path, name: str, value: Any, parameter: Any) -> list[str]:
    """Return what one would type for an option of a file."""
    if isinstance(value, dict):
        if name != "--set":
            raise InvalidInput(f"{path} has a table {name[2:]!r}; the only one it may have is set")
        return [f"{name}={key}={_word(path, f'set.{key}', one)}" for key, one in value.items()]
    if getattr(parameter, "is_flag", False):
        if not isinstance(value, bool):
            raise InvalidInput(f"{path} says {name[2:]} = {value!r}; allowed are true and false")
        return [name] if value else []
    several = value if parameter.multiple and isinstance(value, list) else [value]
    texts = [_word(path, name.lstrip("-"), one) for one in several]
    if name.startswith("--"):
        return [f"{name}={text}" for text in texts]
    return [part for text in texts for part in (name, text)]


def _word(path: Path, key: str, value: Any) -> str:
    """Return a value as one would type it: true, 3, a,b."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list):
        return ",".join(_word(path, key, one) for one in value)
    raise InvalidInput(
        f"{path} says {key} = {value}; allowed are texts, numbers, true, false and lists of them"
    )
