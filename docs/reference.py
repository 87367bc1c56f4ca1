"""The reference, made from the code: commands, settings and the public API, as MyST Markdown.

Commands come from the Typer application, settings from the Configs' fields, the API from
`gan_nas.__all__`; what is added there stands here without a change of this file. Pages name a
setting by whose it is, `autogan.entropy_weight`, and a file by its path: both become links.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

import gan_nas
from gan_nas.cli.commands import EXIT_CODES_IN_WORDS, app
from gan_nas.configs import Settings, describe_fields
from gan_nas.search import OWN, load_method
from gan_nas.studies import STUDIES, load_study
from gan_nas.training.config import TrainingConfig

ROOT = Path(__file__).parents[1]
SETTING = re.compile(r"(?P<owner>[a-z][a-z0-9-]*)\.(?P<name>[a-z][a-z0-9_]*)(?:=(?P<value>\S+))?")
FILE = re.compile(r"(?:[\w.-]+/)+[\w.-]+\.(?:py|json|md|toml)")
CODE_SPAN = re.compile(r"(?<![\[`{}])`([^`\n]+)`(?![\]`])")


def owners() -> dict[str, type[Settings]]:
    """Return the Configs by the name that pages call their owner by."""
    configs: dict[str, type[Settings]] = {"training": TrainingConfig}
    configs |= {name: load_method(name).Config for name in OWN}
    return configs | {f"study-{name}": load_study(name).Config for name in STUDIES}


def commands() -> str:
    """Describe every command: its words, arguments and options."""
    group: Any = get_command(app)  # click's, which Typer may or may not carry inside
    sections = [_plain(EXIT_CODES_IN_WORDS)]
    for name, command in group.commands.items():
        if not command.hidden:
            sections += [f"## gan-nas {name}", *_help(command.help), *_parameters(name, command)]
    return "\n\n".join(sections)


def settings() -> str:
    """Describe every setting of every Config."""
    sections = []
    for owner, model in owners().items():
        sections.append(f"## {owner}")
        sections.append(_words_of(owner))
        for field in describe_fields(model):
            kind = _plain(f"{field.type}; default: {field.default or '(empty)'}.")
            words = _plain(" ".join(field.description.split()))
            sections.append(f"```{{confval}} {owner}.{field.name}\n*{kind}* {words}\n```")
    return "\n\n".join(sections)


def api() -> str:
    """List the public names for autodoc, in alphabetical order."""
    entries = []
    for name in sorted(gan_nas.__all__, key=str.lower):
        # The folder search/ can be called: what it does is described where it is written.
        where = "gan_nas.search.drive.search" if name == "search" else f"gan_nas.{name}"
        is_class = isinstance(getattr(gan_nas, name), type)
        directive = ".. autoclass::" if is_class else ".. autofunction::"
        members = "\n   :members:" if is_class and name != "TrainingConfig" else ""
        entries.append(f"## {name}\n\n```{{eval-rst}}\n{directive} {where}{members}\n```")
    return "\n\n".join(entries)


GENERATED = {"commands": commands, "settings": settings, "api": api}
"""The pages whose text goes on with what is made here."""


def linked(text: str) -> str:
    """Turn settings and files that are named as code into links, not in headings and blocks."""
    known = owners()
    parts = re.split(r"(^```.*?^```$|^#.*?$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(
        part if part.startswith(("```", "#")) else CODE_SPAN.sub(lambda m: _link(m[1], known), part)
        for part in parts
    )


def setting_of(code: str, known: dict[str, type[Settings]]) -> re.Match[str] | None:
    """Read a code span that names a setting, owner.name or owner.name=value; else None."""
    found = SETTING.fullmatch(code)
    return found if found and found["owner"] in known else None


def _link(code: str, known: dict[str, type[Settings]]) -> str:
    if found := setting_of(code, known):
        return f"{{confval}}`{code} <{found['owner']}.{found['name']}>`"
    if FILE.fullmatch(code) and (ROOT / code).is_file():
        return f"[`{code}`](../{code})"
    return f"`{code}`"


def _words_of(owner: str) -> str:
    """Say where the settings of an owner are typed."""
    if owner == "training":
        return "How a GAN is trained: `--set` of `gan-nas retrain` and of `derive --retrain`."
    if owner.startswith("study-"):
        return f"`gan-nas study {owner.removeprefix('study-')} --set KEY=VALUE`"
    return f"`gan-nas search --method {owner} --set KEY=VALUE`"


def _help(text: str) -> Iterator[str]:
    """Yield the paragraphs of a command's help; its examples become a block."""
    for paragraph in (text or "").split("\n\n"):
        words = " ".join(paragraph.split())
        found = re.fullmatch(r"Examples?: (.*?)\.?", words)
        if found:
            lines = re.split(r"(?:; |, then )(?=gan-nas )", found[1])
            yield "```sh\n" + "\n".join(lines) + "\n```"
        else:
            yield _plain(words)


def _parameters(name: str, command: Any) -> Iterator[str]:
    """Yield what describes the arguments of a command, then its options."""
    yield f"```{{program}} gan-nas {name}\n```"
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        if parameter.param_type_name == "argument":
            metavar = parameter.metavar or parameter.name.upper()
            names = metavar if parameter.required else f"[{metavar}]"
        else:
            metavar = "" if parameter.is_flag else f" {parameter.metavar or 'VALUE'}"
            names = ", ".join(f"{option}{metavar}" for option in parameter.opts)
        words = " ".join(filter(None, (parameter.help, *_limits(parameter))))
        yield f"```{{option}} {names}\n\n{_plain(words)}\n```"


def _limits(parameter: Any) -> Iterator[str]:
    """Yield the range and the default of a parameter, in words."""
    kind = getattr(parameter, "type", parameter)  # newer Typers keep a range with the parameter
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    if low is not None and high is not None:
        yield f"From {low:,} to {high:,}."
    elif low is not None:
        yield f"At least {low:,}."
    if parameter.required:
        yield "Required."
    elif parameter.default not in (None, False, (), []) and not callable(parameter.default):
        yield f"Default: {parameter.default}."


def _plain(text: str) -> str:
    """Write a text so that Markdown shows it as it is; options become code."""
    escaped = re.sub(r"([\\`*<>\[\]|$])", r"\\\1", text)
    return re.sub(r"(?<![\w-])--[a-z][a-z-]*", r"`\g<0>`", escaped)
