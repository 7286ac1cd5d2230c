"""Published experiments: their files, their data, and runs of them on tiny models."""

import json
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor.errors import ConfigError, DataError, ModelError
from tenor.recipes.experiments import experiment, experiments, measured_here
from tenor.recipes.reproduce import ReproduceConfig, reproduce
from tenor.recipes.reproduce_data import prepare_data
from tiny import tiny_model

WORDS = ["sun", "rain", "bank", "river", "cat", "dog", "tree", "boat"]
PUBLISHED = {
    "mnr-nli": {0.851, 0.848},
    "augmented-sbert": {0.710, 0.721},
    "banking77-mteb": {0.4926, 0.4908},
    "rotten-tomatoes": {0.85, 0.80, 0.63},
    "tsdae": set(),
    "conll2003": set(),
}


def text(number):
    return f"the {WORDS[number % 8]} and the {WORDS[(3 * number + 1) % 8]} number {number}"


@pytest.fixture
def data(tmp_path):
    """Data sets of the same columns, with enough rows for where the experiments begin."""
    rows = range(10_060)
    nli = {
        "premise": [text(n) for n in rows],
        "hypothesis": [text(7 * n + 3) for n in rows],
        "label": [n % 3 for n in rows],
    }
    texts = {"text": [text(n) for n in range(60)], "label": [n % 2 for n in range(60)]}
    tokens = [text(n).split() for n in range(40)]
    tagged = {"tokens": tokens, "ner_tags": [["O", "B-LOC", *["O"] * (len(t) - 2)] for t in tokens]}
    stsb = {
        "sentence1": [text(n) for n in range(30)],
        "sentence2": [text(n + n % 5) for n in range(30)],
        "score": [5.0 - n % 5 for n in range(30)],
    }
    files = {
        "nli_train_pool/train": nli, "stsb/validation": stsb, "rotten_tomatoes/train": texts,
        "rotten_tomatoes/test": texts, "conll2003/train": tagged, "conll2003/validation": tagged,
        "banking77/train": texts, "banking77/test": texts,
    }  # fmt: skip
    for name, columns in files.items():
        path = tmp_path / "data" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
    return tmp_path / "data"


def test_every_experiment_names_its_model_its_data_and_what_was_published():
    known = experiments()
    assert {name: set(one.published.values()) for name, one in known.items()} == PUBLISHED
    for one in known.values():
        assert re.fullmatch(r"[\w-]+/[\w.-]+", one.model)
        needed = re.findall(r"data:([\w-]+)", str([run.settings for run in one.runs]))
        folders = {source.folder for source in one.data.values()}
        assert needed and all(name in one.data or name in folders for name in needed)
        assert any(run.figures for run in one.runs)
    assert measured_here().keys() <= known.keys()
    with pytest.raises(ConfigError, match="mnr-nli"):
        experiment("word2vec-2013")


def test_what_was_measured_says_where_it_comes_from():
    root = Path(__file__).parents[2]
    for entries in measured_here().values():
        for entry in entries:
            stored = json.loads((root / entry["source"]).read_text())
            assert stored["commit"] == entry["commit"]
            values = re.findall(r"-?\d+\.\d+", json.dumps(stored))
            for value in (*entry["figures"].values(), *entry.get("spread", {}).values()):
                assert any(round(float(each), 4) == value for each in values)


def test_the_examples_of_the_repository_are_those_of_the_package():
    folder = Path(__file__).parents[2] / "examples"
    assert experiments(folder) == experiments()
    for path in folder.glob("*.toml"):
        tomllib.loads(path.read_text())


def test_rows_become_what_the_recipe_takes(data, tmp_path):
    found = prepare_data(experiment("augmented-sbert"), data, tmp_path / "out", max_rows=50)
    gold = pq.read_table(found["gold"])
    assert gold.column_names == ["sentence1", "sentence2", "label"] and len(gold) == 50
    assert set(gold["label"].to_pylist()) == {0, 1}
    pool = pq.read_table(found["pool"])["text"].to_pylist()
    assert len(pool) == len(set(pool)) > 50
    assert len(pq.read_table(found["stsb"])) == 30  # measured on: never cut
    pairs = pq.read_table(prepare_data(experiment("mnr-nli"), data, tmp_path / "b")["nli"])
    assert pairs.column_names == ["anchor", "positive"]
    assert pairs["anchor"].to_pylist() == [text(n) for n in range(0, 10_060, 3)]


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_an_experiment_runs_on_another_model(name, data, tmp_path):
    if name == "banking77-mteb" and find_spec("mteb") is None:
        pytest.skip("needs the extra `mteb`")
    settings = ReproduceConfig(
        experiment=name, model=str(tiny_model(tmp_path / "model")), data=str(data),
        max_steps=2, max_rows=40, out=str(tmp_path / "out"), dtype="fp32",
    )  # fmt: skip
    result = reproduce(settings)
    assert result["published"].keys() <= result["figures"].keys() or name == "rotten-tomatoes"
    assert result["figures"] and not result["complete"]
    assert json.loads((tmp_path / "out" / "reproduce.json").read_text()) == result
    for run, folder in result["runs"].items():
        assert run == "mteb" or (Path(folder) / "result.json").exists()
    if name == "augmented-sbert":  # each of its training loops, the cross-encoder's too
        for stage in ("warm-up", "cross-encoder", "gold-silver"):
            stored = Path(result["runs"]["augmented"]) / stage / "result.json"
            assert json.loads(stored.read_text())["steps"] == 2
    again = reproduce(settings)  # nothing is done twice
    assert again["figures"] == pytest.approx(result["figures"], abs=1e-5)  # mteb rounds
    with pytest.raises(ConfigError, match="another folder"):
        reproduce(ReproduceConfig(**{**vars(settings), "max_rows": 41}))


def test_a_folder_keeps_to_the_data_it_began_with(data, tmp_path, monkeypatch):
    class StoppedError(Exception):
        pass

    def stopped(*_):
        raise StoppedError

    monkeypatch.setattr(
        "tenor.recipes.reproduce._runner", lambda command: stopped
    )  # the data are there, no figure is
    settings = {
        "experiment": "mnr-nli", "model": str(tiny_model(tmp_path / "model")), "data": str(data),
        "max_rows": 40, "out": str(tmp_path / "out"),
    }  # fmt: skip
    with pytest.raises(StoppedError):
        reproduce(ReproduceConfig(**settings))
    with pytest.raises(ConfigError, match=r"another folder.*max_rows 40"):
        reproduce(ReproduceConfig(**{**settings, "max_rows": None}))
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ConfigError, match=r"another folder.*data "):
        reproduce(ReproduceConfig(**{**settings, "data": str(other)}))
    with pytest.raises(ConfigError, match=r"another folder.*experiment mnr-nli"):
        reproduce(ReproduceConfig(**{**settings, "experiment": "tsdae"}))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoppedError):  # the same folder by another name: it goes on
        reproduce(ReproduceConfig(**{**settings, "data": "data"}))
    (tmp_path / "out" / "asked.json").unlink()
    with pytest.raises(ConfigError, match="nothing says what data"):
        reproduce(ReproduceConfig(**settings))


def test_who_could_not_get_the_data_may_name_others(data, tmp_path):
    model, out = str(tiny_model(tmp_path / "model")), str(tmp_path / "out")
    settings = {"experiment": "mnr-nli", "model": model, "out": out, "max_steps": 1, "max_rows": 8}
    with pytest.raises(DataError, match="with --data"):
        reproduce(ReproduceConfig(**settings))
    assert reproduce(ReproduceConfig(**settings, data=str(data)))["figures"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"device": "gpu"}, "device"), ({"dtype": "fp16"}, "dtype"), ({"seed": -1}, "seed"),
        ({"max_rows": 0}, "max_rows"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(change, field):
    with pytest.raises(ConfigError, match=field):
        ReproduceConfig(experiment="mnr-nli", **change)


def test_offline_it_says_what_else_can_be_done(data, tmp_path):
    with pytest.raises(ModelError, match="start from another with --model"):
        reproduce(ReproduceConfig(experiment="tsdae", data=str(data), out=str(tmp_path / "a")))
    model = str(tiny_model(tmp_path / "model"))
    with pytest.raises(DataError, match="with --data"):
        reproduce(ReproduceConfig(experiment="tsdae", model=model, out=str(tmp_path / "b")))
    (data / "stsb" / "validation.parquet").unlink()
    with pytest.raises(DataError, match="--data names a folder"):
        reproduce(
            ReproduceConfig(
                experiment="tsdae", model=model, data=str(data), out=str(tmp_path / "c")
            )
        )
