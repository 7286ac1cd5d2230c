"""A run's folder: what it refuses, what it keeps, and what must not change when it goes on."""

import json
import platform
from dataclasses import dataclass, replace

import pytest

from tenor.errors import ConfigError, DataError
from tenor.training.run import Run, machine


@dataclass(frozen=True)
class Config:
    train: str = "pairs.csv"
    seed: int = 0


@pytest.fixture
def begun(tmp_path):
    """The folder of a run that was interrupted."""
    folder = tmp_path / "run"
    Run(folder, Config()).check_data({"pairs.csv": "a" * 64})
    (folder / "checkpoints" / "checkpoint-3").mkdir(parents=True)
    return folder


def test_a_folder_in_use_is_refused_as_a_setting(begun, tmp_path):
    with pytest.raises(ConfigError, match=r"already holds a run.*--resume") as error:
        Run(begun, Config())
    assert error.value.field == "out"
    with pytest.raises(ConfigError, match="this one holds other files"):
        Run(tmp_path, Config())
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigError, match="this one is a file"):
        Run(file, Config())
    assert Run(begun, Config(), resume=True).resumed


def test_a_model_card_is_told_the_name_the_settings_and_what_came_out(begun):
    run = Run(begun, Config(), resume=True)
    facts = run.card_facts({"steps": 7, "after": {"metrics": {}}})
    assert facts["name"] == "run"
    assert facts["training"]["steps"] == 7
    assert facts["training"]["arguments"] == {"train": "pairs.csv", "seed": 0}
    assert facts["evaluation"] == [{"metrics": {}}]
    assert run.card_facts({"after": None})["evaluation"] == []


def test_another_setting_is_named(begun):
    with pytest.raises(ConfigError, match=r"^seed = 7 .*\(0\)"):
        Run(begun, replace(Config(), seed=7), resume=True)


def test_a_resumed_run_must_train_on_the_same_data(begun):
    stored = (begun / "data.json").read_text()
    assert json.loads(stored) == {"pairs.csv": "a" * 64}
    with pytest.raises(DataError, match=r"^pairs\.csv: .*was aaaaaaaaaaaa….*now it is bbbb"):
        Run(begun, Config(), resume=True).check_data({"pairs.csv": "b" * 64})
    assert (begun / "data.json").read_text() == stored
    again = Run(begun, Config(), resume=True)
    again.check_data({"pairs.csv": "a" * 64})
    again.check_data({"more.txt": "c" * 64})
    assert json.loads((begun / "data.json").read_text()) == {
        "pairs.csv": "a" * 64,
        "more.txt": "c" * 64,
    }


def test_files_of_a_new_run_may_be_noted_one_by_one(tmp_path):
    run = Run(tmp_path / "run", Config())
    for name in ("a.csv", "b.csv"):
        run.check_data({name: "a" * 64})
    assert json.loads((tmp_path / "run" / "data.json").read_text()).keys() == {"a.csv", "b.csv"}


def test_data_may_change_as_long_as_nothing_was_trained(tmp_path):
    for digit in "ab":
        Run(tmp_path / "run", Config()).check_data({"pairs.csv": digit * 64})
    assert json.loads((tmp_path / "run" / "data.json").read_text()) == {"pairs.csv": "b" * 64}


def test_a_run_of_before_there_was_data_json_can_go_on(begun):
    (begun / "data.json").unlink()
    Run(begun, Config(), resume=True).check_data({"pairs.csv": "b" * 64})
    assert (begun / "data.json").exists()


def test_only_one_of_several_processes_writes(tmp_path):
    Run(tmp_path / "run", Config(), main=False).check_data({"pairs.csv": "a" * 64})
    assert not (tmp_path / "run").exists()


def test_the_machine_is_described_and_not_named():
    found = machine()
    assert found["system"] == f"{platform.system()} {platform.machine()}"
    said = json.dumps(found)
    assert platform.release() not in said
    assert platform.node() not in said
