"""What strangers' distributions bring: found by name, and never in the way of our own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import strangers
from commands import Command

from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.networks.builder import build_generator
from gan_nas.plugins import plugin_names
from gan_nas.spaces.genome import Genome, parse_genome
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.registry import BUILT_IN, PARTS, load_space, space_names

SPACES, NETWORKS = "gan_nas.spaces", "gan_nas.networks"


Bring = Callable[..., None]


@pytest.fixture
def bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bring:
    """Install a distribution of some modules and entry points while a test runs."""

    def install(name: str, entries: dict[str, dict[str, str]], **modules: str) -> None:
        strangers.describe(tmp_path / name, name, "2.0", entries)
        for module, text in modules.items():
            (tmp_path / name / f"{module}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path / name)
        for module in modules:
            monkeypatch.delitem(sys.modules, module, raising=False)

    return install


BROKEN = {
    "missing_module": ("stranger_a:SPACE", "", "ModuleNotFoundError: No module named 'stranger_a'"),
    "missing_object": ("stranger_b:SPACE", "x = 1", "AttributeError: "),
    "raises": (
        "stranger_c:SPACE",
        "raise RuntimeError('no\\nlicence')",
        "Error: no licence",
    ),
    "not_python": ("stranger_d:SPACE", "def", "SyntaxError: "),
    "another_kind": ("stranger_e:SPACE", "SPACE = {}", "is of type dict, and Space is needed"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_space_is_named_with_its_distribution_and_harms_no_other(
    gan_nas: Command,
    bring: Bring,
    name: str,
    tmp_path: Path,
) -> None:
    value, text, said = BROKEN[name]
    module = value.partition(":")[0]
    bring("gan-nas-broken", {SPACES: {name: value}}, **({module: text} if text else {}))
    assert space_names() == (*BUILT_IN, *PARTS, name)
    with pytest.raises(Incompatible) as caught:
        load_space(name)
    sentence = str(caught.value)
    assert said in sentence
    assert "gan-nas-broken 2.0" in sentence
    assert sentence.isprintable()
    for space in BUILT_IN:
        (genome,) = sample_genomes(space, 1, 0)
        assert parse_genome(genome.to_json()) == genome
    with pytest.raises(InvalidInput, match=r"must be one of 'autogan', 'adversarialnas', 'degas'$"):
        parse_genome(genome.to_json().replace('"degas"', '"dega"'))
    schema = Genome.model_json_schema()["properties"]["generator"]
    assert set(schema["discriminator"]["mapping"]) == set(BUILT_IN)
    listed = gan_nas("genomes")
    assert listed.code == 0
    assert f"Left out: {sentence}." in " ".join(listed.err.split())
    refused = gan_nas("genomes", "--sample", name)
    assert refused.code != 0
    assert said in " ".join(refused.err.split())
    with pytest.raises(Incompatible, match="gan-nas-broken"):
        parse_genome(genome.to_json().replace('"degas"', f'"{name}"'))


def test_two_distributions_of_one_name_are_both_named(bring: Bring) -> None:
    bring("gan-nas-one", {SPACES: {"twin": "stranger_f:SPACE"}})
    bring("gan-nas-two", {SPACES: {"twin": "stranger_g:SPACE"}})
    with pytest.raises(Incompatible, match=r"gan-nas-(one|two) 2\.0 and gan-nas-(one|two) 2\.0"):
        load_space("twin")


def test_a_stranger_cannot_take_the_name_of_a_built_in_space(bring: Bring) -> None:
    bring("gan-nas-thief", {SPACES: {"autogan": "os:path", "ctgan": "os:path"}})
    assert space_names() == (*BUILT_IN, *PARTS)
    assert load_space("autogan").name == "autogan"


def test_a_space_under_another_name_than_its_own_is_refused(bring: Bring, plugin: Path) -> None:
    bring("gan-nas-alias", {SPACES: {"tuy": "gan_nas_toy.space:SPACE"}})
    with pytest.raises(Incompatible, match=r"the space tuy .* calls itself toy"):
        load_space("tuy")


def test_a_space_without_networks_is_refused_where_they_are_needed(
    bring: Bring, plugin: Path
) -> None:
    text = "from gan_nas_toy.space import ToySpace\nSPACE = ToySpace()\nSPACE.name = 'lonely'"
    bring("gan-nas-lonely", {SPACES: {"lonely": "stranger_h:SPACE"}}, stranger_h=text)
    generator = load_space("toy").example(4).model_copy(update={"space": "lonely"})
    with pytest.raises(Incompatible, match=f"space lonely has no networks: .* {NETWORKS}"):
        build_generator(generator, 16)


def test_names_follow_what_is_installed(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plugin_names(SPACES) == plugin_names(NETWORKS) == ("toy",)
    assert plugin_names(SPACES, ("toy",)) == ()
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(plugin)])
    assert plugin_names(SPACES) == ()
    with pytest.raises(InvalidInput, match="unknown space toy; known are autogan"):
        load_space("toy")


def test_a_genome_of_a_space_that_is_not_installed_is_refused_with_those_known(
    plugin_folder: Path, tmp_path: Path
) -> None:
    """In processes of their own: what one wrote with the stranger's package, one without reads."""

    def command(*words: str, path: Path | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-c", "from gan_nas.cli import main; main()", *words],
            env=os.environ | ({"PYTHONPATH": str(path)} if path else {}),
            capture_output=True,
            text=True,
            check=False,
        )

    sampled = ("genomes", "--sample", "toy", "--seed", "1", "-o", str(tmp_path / "my genomes"))
    written = command(*sampled, path=plugin_folder)
    assert written.returncode == 0, written.stderr
    (file,) = (tmp_path / "my genomes").glob("*.json")
    assert command("genomes", str(file), path=plugin_folder).returncode == 0
    refused = command("genomes", str(file), path=None)
    assert refused.returncode == 2
    said = " ".join(refused.stderr.split())
    assert "generator.space = 'toy': must be one of 'autogan', 'adversarialnas', 'degas'" in said
