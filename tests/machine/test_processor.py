from pathlib import Path

from gan_nas.machine.processor import processor_model, processor_name


def test_the_model_is_that_of_the_first_processor_which_the_system_lists(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    listed = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz \nprocessor\t: 1\nmodel name\t: B\n"
    (tmp_path / "proc/cpuinfo").write_text(listed)
    assert processor_model(tmp_path) == "Some CPU @ 2 GHz"
    assert processor_name(tmp_path).startswith("Some CPU @ 2 GHz, ")


def test_a_system_that_lists_none_still_has_a_name(tmp_path: Path) -> None:
    assert processor_model(tmp_path)
