"""`tenor auto`: what fits into a budget is tried, the best is kept, and nothing leaks."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from tenor.data.overlap import normalise
from tenor.errors import ConfigError, DataError, RunInterruptedError
from tenor.formats.locate import hash_model
from tenor.models.classifier import TextClassifier
from tenor.models.embedder import Embedder
from tenor.models.tagger import Tagger
from tenor.recipes import auto_search, auto_training
from tenor.recipes.auto import AutoConfig, auto, parse_budget
from tenor.recipes.auto_candidates import SLOW_SHARE, Candidate, fit_to_time, hurried
from tenor.recipes.auto_clock import BudgetClock
from tenor.recipes.auto_data import choose_source, split_data
from tenor.recipes.auto_search import Search
from tenor.recipes.classifier import ClassifierConfig
from tenor.recipes.contrastive import ContrastiveConfig
from tenor.recipes.few_shot import FewShotConfig
from tenor.recipes.plan_context import Advice
from tenor.recipes.plan_estimate import Estimate
from tenor.recipes.plan_sources import read_inputs
from tenor.training.trainer import Trainer
from tiny import random_texts, tiny_model, write_csv
from tiny_labels import random_labelled
from tiny_tags import tagged_rows, write_jsonl

LEFT = ("train", "validation", "test")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture(autouse=True)
def _nothing_twice_as_long(monkeypatch):
    """A budget that is enough for everything would be spent to its end."""
    monkeypatch.setattr(auto_search, "LONGER", 0)


@pytest.fixture
def config(model, tmp_path):
    """Settings with a budget that is enough for everything here."""
    data = tmp_path / "data"
    data.mkdir()
    return AutoConfig(
        folder=str(data), out=str(tmp_path / "auto"), budget="5m", model=model, device="cpu",
        dtype="fp32",
    )  # fmt: skip


def labelled(folder, rows=400, name="train", seed=0):
    """So many of each of two labels that fine-tuning pays and few-shot training does not."""
    texts, labels = random_labelled(rows, seed=seed, labels=("animal", "colour"))
    texts = [f"{text} {row + 1000 * seed}" for row, text in enumerate(texts)]
    return write_csv(Path(folder) / f"{name}.csv", {"text": texts, "label": labels})


def pairs(folder, rows=120, name="train", seed=0):
    left = [f"{text} {row}" for row, text in enumerate(random_texts(rows, seed=seed))]
    columns = {"question": left, "answer": [f"far {text} near" for text in left]}
    return write_csv(Path(folder) / f"{name}.csv", columns)


def texts_of(out, split):
    table = pq.read_table(Path(out) / "data" / f"{split}.parquet").to_pydict()
    return {normalise(text) for name, column in table.items() if name != "label" for text in column}


def by_name(result):
    return {each["name"]: each for each in result["candidates"]}


# -- one run of each kind -------------------------------------------------------------------------


def test_labelled_texts(config, caplog, monkeypatch):
    tries = []
    monkeypatch.setattr(
        auto_search, "hurried", lambda found, *given: tries.extend(found) or hurried(found, *given)
    )
    caplog.set_level(logging.INFO, logger="tenor")
    labelled(config.folder)
    result = auto(config)
    found = by_name(result)
    assert {"logistic", "fine-tuned", "fine-tuned-half-frozen", "fine-tuned-slow"} <= found.keys()
    assert (
        result["kept"]
        == max(
            (each for each in found.values() if each["value"] is not None), key=lambda e: e["value"]
        )["name"]
    )
    assert result["metric"] == "macro_f1" and result["test"]["n"] == result["data"]["rows"]["test"]
    for one in LEFT:
        for other in LEFT:
            if one != other:
                assert not texts_of(config.out, one) & texts_of(config.out, other)
    # One model, that loads; every candidate an ordinary run.
    assert TextClassifier.load(f"{config.out}/model", device="cpu").labels == ("animal", "colour")
    assert result["model"]["sha256"] == hash_model(f"{config.out}/model")
    stored = json.loads(Path(config.out, "candidates", "logistic", "result.json").read_text())
    assert stored["after"]["metrics"]["macro_f1"] == found["logistic"]["value"]
    assert json.loads(Path(config.out, "result.json").read_text()) == result
    assert result["used_seconds"] < result["budget_seconds"]
    assert "of the training rows are split off" in caplog.text
    assert "on the test data" in caplog.text
    # Done is done.
    before = Path(config.out, "result.json").stat().st_mtime_ns
    assert auto(config) == result
    assert Path(config.out, "result.json").stat().st_mtime_ns == before
    assert {each.name for each in tries if each.least == SLOW_SHARE} == {"fine-tuned-slow"}


def test_pairs_are_compared_with_the_untouched_model(config):
    pairs(config.folder)
    result = auto(config)
    assert by_name(result).keys() >= {
        "untouched", "contrastive", "contrastive-fast", "contrastive-symmetric",
    }  # fmt: skip
    assert result["validation"]["metric"] == "ndcg@10"
    rates = {}
    for name in ("contrastive", "contrastive-fast", "contrastive-symmetric"):
        run = Path(config.out, "candidates", name)
        settings = tomllib.loads((run / "config.toml").read_text())
        settings |= json.loads((run / "result.json").read_text())["chosen"]
        rates[name] = settings["learning_rate"], settings["symmetric"]
    assert list(rates.values()) == [(1e-4, False), (2e-4, False), (1e-4, True)]
    if result["kept"] != "untouched":
        assert result["baseline"]["name"] == "untouched"
        assert {"value", "low", "high", "verdict"} <= result["difference"].keys()
    Embedder.load(f"{config.out}/model", device="cpu")


def test_scored_pairs(config):
    generator = np.random.default_rng(0)
    left = [f"{text} {row}" for row, text in enumerate(random_texts(90, words=(4, 9)))]
    score = generator.random(90).round(2)
    right = [
        text if s > 0.5 else other
        for text, other, s in zip(left, random_texts(90, seed=3, words=(4, 9)), score, strict=True)
    ]
    right = [f"{text} too {row}" for row, text in enumerate(right)]
    columns = {"sentence1": left, "sentence2": right, "score": score}
    write_csv(Path(config.folder) / "train.csv", columns)
    result = auto(config)
    assert {"contrastive", "contrastive-cosine"} <= by_name(result).keys()
    assert result["metric"] == "spearman_cosine"


@pytest.mark.slow
def test_tagged_words(config):
    write_jsonl(Path(config.folder) / "train.jsonl", tagged_rows(120, words=(3, 9)))
    result = auto(config)
    assert {"tagger", "tagger-half-frozen", "tagger-slow"} <= by_name(result).keys()
    assert result["metric"] == "f1"
    Tagger.load(f"{config.out}/model", device="cpu")


# -- the data -------------------------------------------------------------------------------------


def quick(monkeypatch, config):
    """Only the cheapest candidate, for tests that are about something else."""
    chosen = auto_search.candidates
    monkeypatch.setattr(auto_search, "candidates", lambda *given: chosen(*given)[:1])
    return config


def test_given_files_are_used_and_leaks_left_out_of_training(config, monkeypatch):
    labelled(config.folder, 120)
    labelled(config.folder, 40, "dev", seed=5)
    path = Path(labelled(config.folder, 40, "test", seed=7))
    leaked = Path(config.folder, "train.csv").read_text().splitlines()[9]
    path.write_text(path.read_text() + leaked.upper().rpartition(",")[0] + ",animal\n")
    result = auto(quick(monkeypatch, config))
    assert result["data"]["rows"] == {"train": 119, "validation": 40, "test": 41}
    assert any("1 training rows that stand in the test data" in n for n in result["data"]["notes"])
    assert not texts_of(config.out, "train") & texts_of(config.out, "test")
    assert set(result["data"]["files"]) == {
        str(Path(config.folder) / f"{name}.csv") for name in ("train", "dev", "test")
    }


@pytest.fixture
def notes(config):
    """What is said of the files in the folder."""

    def notes(most=10**6):
        inputs = read_inputs([config.folder])
        source = choose_source(inputs, config.folder)
        return split_data(config, inputs, source, lambda each, split: most).notes

    return notes


def one_with(notes, *parts):
    return [note for note in notes if all(part in note for part in parts)]


def test_evaluation_data_that_are_trained_on_are_noted(config, notes):
    path = labelled(config.folder, 120, "test")
    labelled(config.folder, 40, "validation", seed=5)
    found = notes()
    assert len(one_with(found, path, "named like test data")) == 1
    assert one_with(found, "no test data")


def test_rows_that_cannot_be_used_are_noted(config, notes):
    path = Path(labelled(config.folder, 60))
    path.write_text(path.read_text() + ",animal\n,animal\n")
    test = Path(labelled(config.folder, 30, "test", seed=5))
    test.write_text(test.read_text() + ",animal\n")
    found = notes()
    assert one_with(found, str(path), "2 of 62 rows cannot be used", "line 62, column 'text'")
    assert one_with(found, str(test), "1 of 31 rows cannot be used")


def test_files_that_are_left_out_are_noted(config, notes):
    used = labelled(config.folder, 60, "train-0")
    shard = labelled(config.folder, 50, "train-1", seed=3)
    other = pairs(config.folder, 30, "questions")
    dev, valid = (labelled(config.folder, 20 + n, f"{n}-dev", seed=7 + n) for n in range(2))
    Path(config.folder, "bad.csv").write_text("x\n1\n")
    found = notes()
    assert one_with(found, f"left out: {shard}", "50 rows", f"put its rows into {used}")
    assert one_with(found, f"left out: {dev}", f"put its rows into {valid}")
    assert one_with(found, f"left out: {other}", "pairs", "name it instead of the folder")
    assert one_with(found, "bad.csv") and not one_with(found, f"left out: {used}")


def test_what_is_used_as_it_is_needs_no_word(config, notes):
    for seed, name in enumerate(("train", "validation", "test")):
        labelled(config.folder, 60, name, seed=seed)
    assert notes() == []


def test_wrong_data_leave_no_folder(config):
    labelled(config.folder, 20)
    with pytest.raises(DataError, match="too few"):
        auto(config)
    Path(config.folder, "train.csv").unlink()
    Path(config.folder, "notes.txt").write_text("only\ntext\n")
    with pytest.raises(DataError, match="no labelled rows"):
        auto(config)
    assert not Path(config.out).exists()


def test_labels_of_the_test_data_that_nobody_trained_on(config):
    labelled(config.folder, 60)
    write_csv(
        Path(config.folder) / "test.csv", {"text": ["one", "two"], "label": ["animal", "odd"]}
    )
    with pytest.raises(DataError, match="'odd'"):
        auto(config)


def test_what_cannot_be_trained_is_told_with_the_reason(config):
    columns = {"anchor": [f"q {n}" for n in range(60)], "positive": ["Ask us."] * 60}
    write_csv(Path(config.folder) / "train.csv", columns)
    with pytest.raises(DataError, match="without negatives"):
        auto(config)


# -- the budget -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("1h30m", 5400), ("90s", 90), ("1.5h", 5400), ("2", 120), ("1H 5m", 3900)],
)
def test_budgets(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5m", "5m30", "10s", "0"])
def test_budgets_that_are_none(text):
    with pytest.raises(ConfigError, match="30m"):
        parse_budget(text)


def candidate(config, steps=100, step=1.0, still=20.0, epochs=3, evaluating=2.0):
    advice = Advice(name="x", title="", why="", source=None, commands=())  # type: ignore[arg-type]
    seconds = still + steps * step + epochs * evaluating * bool(steps)
    object.__setattr__(advice, "commands", ())
    made = Candidate("x", "x", "", advice, Estimate(100, steps, step if steps else None, seconds))
    return made, config


@pytest.fixture
def fitted(monkeypatch):
    def fitted(config, seconds, evaluating=2.0, **given):
        made, config = candidate(config, evaluating=evaluating, **given)
        monkeypatch.setattr(Candidate, "config", config)
        return fit_to_time(made, seconds, evaluating)

    return fitted


def test_steps_are_chosen_for_the_time_there_is(fitted):
    tuned = ClassifierConfig(train="t", out="o")
    whole = fitted(tuned, 1_000.0)
    assert whole.settings["max_steps"] == 100
    half = fitted(tuned, 80.0)
    assert 40 <= half.settings["max_steps"] <= 55 and half.seconds <= 80.0
    assert half.settings["evaluate_every"] <= half.settings["max_steps"]
    assert fitted(tuned, 30.0) is None  # too little of it to be worth a start
    # Evaluations that take long are few.
    assert fitted(tuned, 1_000.0, evaluating=60.0).settings["evaluate_every"] == 100
    few = fitted(FewShotConfig(train="t", out="o"), 80.0)
    assert set(few.settings) == {"steps"} and 45 <= few.settings["steps"] <= 60


def test_half_the_rate_is_not_worth_a_start_with_few_of_its_steps(monkeypatch):
    made, config = candidate(ClassifierConfig(train="t", out="o"))
    monkeypatch.setattr(Candidate, "config", config)
    assert fit_to_time(made, 70.0, 2.0).settings["max_steps"] < 50
    assert fit_to_time(replace(made, least=SLOW_SHARE), 70.0, 2.0) is None
    assert fit_to_time(replace(made, least=SLOW_SHARE), 120.0, 2.0) is not None


def test_with_little_time_the_fastest_learner_comes_first(monkeypatch):
    made, _ = candidate(None)
    monkeypatch.setattr(Candidate, "config", property(lambda self: CHANGED[self.name]))
    plain = ContrastiveConfig(train="t", out="o")
    CHANGED = {
        "plain": plain,
        "fast": replace(plain, learning_rate=6e-5),
        "both": replace(plain, learning_rate=6e-5, symmetric=True),
    }
    tries = [replace(made, name=name) for name in CHANGED]
    order = [each.name for each in hurried(tries, 200.0, 2.0)]
    assert order == ["plain", "fast", "both"]
    assert [each.name for each in hurried(tries, 50.0, 2.0)] == ["both", "fast", "plain"]
    assert [each.name for each in hurried(tries, 1.0, 2.0)] == ["both", "fast", "plain"]


def test_what_has_no_steps_fits_or_does_not(fitted):
    logistic = ClassifierConfig(train="t", out="o", head="logistic")
    assert fitted(logistic, 30.0, steps=0).settings == {}
    assert fitted(logistic, 10.0, steps=0) is None


@pytest.mark.parametrize(("others", "share"), [(0, 0.99), (1, 0.59)])
def test_the_last_candidate_gets_all_the_time_that_is_left(others, share, monkeypatch):
    """A little less than it needs: only where another waits, some of it is for that one."""
    made, _ = candidate(None, step=10.0, still=0.0, evaluating=0.0)
    monkeypatch.setattr(Candidate, "config", ClassifierConfig(train="t", out="o"))
    tries = [made, *(replace(made, name=f"other {n}") for n in range(others))]
    given = []
    search = object.__new__(Search)
    search.trials = SimpleNamespace(get=lambda name: None, leader=None)
    search.clock = SimpleNamespace(left=made.estimate.seconds - 1.0)
    search.final, search.evaluating = 0.0, 0.0
    monkeypatch.setattr(search, "_run", lambda _, trial, left: given.append(trial.settings))
    search._try_all(tries)
    assert given[0]["max_steps"] == pytest.approx(share * made.estimate.steps, abs=3)


def test_the_clock_counts_earlier_starts(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    path = tmp_path / "budget.json"
    with BudgetClock(path, 60.0, started=95.0) as clock:
        assert clock.used == 5.0
        now[0] += 20.0
        assert clock.left == 35.0
    assert json.loads(path.read_text())["used_seconds"] == 25.0
    now[0] += 1_000.0  # between the starts nothing is used
    with BudgetClock(path, 60.0) as clock:
        now[0] += 30.0
        assert clock.used == 55.0


def test_the_clock_is_noted_while_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("tenor.recipes.auto_clock.EVERY", 0.05)
    path = tmp_path / "budget.json"
    with BudgetClock(path, 60.0):
        first = path.read_text()
        end = time.time() + 10
        while path.read_text() == first:
            assert time.time() < end
            time.sleep(0.02)


class SlowSteps:
    """A clock that hardly moves but for training steps, which take half a second each."""

    def __init__(self, monkeypatch, seconds=0.5):
        self.now = 1_000.0
        step = Trainer.training_step

        def slow(trainer, *given, **options):
            self.now += seconds
            return step(trainer, *given, **options)

        monkeypatch.setattr(Trainer, "training_step", slow)
        monkeypatch.setattr(time, "monotonic", self.read)
        monkeypatch.setattr(time, "perf_counter", self.read)

    def read(self):
        self.now += 1e-4
        return self.now


@pytest.mark.parametrize("budget", ["50s", "80s"])
def test_a_budget_too_small_for_all_is_kept(budget, config, monkeypatch):
    labelled(config.folder)
    monkeypatch.setattr(Search, "_with_floor", lambda self, fitted: dict(fitted.settings))
    SlowSteps(monkeypatch)
    result = auto(replace(config, budget=budget))
    found = by_name(result)
    assert 0.4 * result["budget_seconds"] < result["used_seconds"] <= result["budget_seconds"]
    assert found["logistic"]["status"] == "done"
    tuned = [each for name, each in found.items() if name.startswith("fine-tuned")]
    assert any(each["status"] == "done" for each in tuned)
    left_out = [each for each in tuned if each["status"] == "skipped"]
    assert left_out and all("no time" in each["why"] for each in left_out)


def test_steps_that_are_slower_than_told_stop_in_time(config, monkeypatch):
    labelled(config.folder)
    monkeypatch.setattr(Search, "_with_floor", lambda self, fitted: dict(fitted.settings))
    clock = SlowSteps(monkeypatch, seconds=0.1)
    begun = auto_search.train

    def slower(given):
        """All that is trained in earnest is ten times as slow as what was tried."""
        patch = pytest.MonkeyPatch()
        step = Trainer.training_step

        def slow(trainer, *args, **options):
            clock.now += 0.9
            return step(trainer, *args, **options)

        patch.setattr(Trainer, "training_step", slow)
        try:
            return begun(given)
        finally:
            patch.undo()

    monkeypatch.setattr(auto_search, "train", slower)
    result = auto(replace(config, budget="60s"))
    assert result["used_seconds"] <= 1.1 * result["budget_seconds"]
    assert any(each["stopped"] == "max_minutes" for each in result["candidates"])


def test_a_budget_that_is_too_small_for_anything(config, monkeypatch):
    labelled(config.folder)
    monkeypatch.setattr(auto_search, "fit_to_time", lambda *given, **more: None)
    with pytest.raises(ConfigError, match="the cheapest candidate takes about"):
        auto(config)


def test_the_hopeless_stop_at_half_their_steps(config, monkeypatch):
    labelled(config.folder)

    def never(candidate, seconds, evaluating):
        from tenor.recipes.auto_candidates import Fitted

        if not candidate.estimate.steps:
            return Fitted({}, 1.0)
        return Fitted({"max_steps": 20, "evaluate_every": 5, "learning_rate": 1e-9}, 1.0)

    monkeypatch.setattr(auto_search, "fit_to_time", never)
    result = auto(config)
    found = by_name(result)
    assert found["logistic"]["value"] > 0.6
    stopped = found["fine-tuned"]
    assert stopped["stopped"] == "stop_below" and stopped["steps"] == 10
    assert stopped["settings"]["stop_below"] == pytest.approx(found["logistic"]["interval"][0])


# -- stopped and started again --------------------------------------------------------------------


def test_time_that_is_left_goes_to_the_best_twice_as_long(config, monkeypatch):
    pairs(config.folder)
    monkeypatch.setattr(auto_search, "LONGER", 1)
    found = by_name(auto(config))
    longer = [name for name in found if name.endswith("-long")]
    if not longer:  # nothing beat the untouched model, and there is nothing to train longer
        assert max(found.values(), key=lambda each: each["value"])["name"] == "untouched"
    for name in longer:
        first = found[name.removesuffix("-long")]
        assert found[name]["steps"] > 1.5 * first["steps"] or found[name]["stopped"]


def test_what_failed_is_told_and_the_others_go_on(config, monkeypatch):
    labelled(config.folder)
    trained = auto_training.train_classifier

    def failing(given):
        if given.head == "logistic":
            raise DataError("made to fail")
        return trained(given)

    monkeypatch.setattr(auto_training, "train_classifier", failing)
    result = auto(config)
    assert by_name(result)["logistic"]["status"] == "failed"
    assert "made to fail" in by_name(result)["logistic"]["why"]
    assert result["kept"].startswith("fine-tuned")


def test_an_interrupted_run_goes_on_where_it_was(config, monkeypatch):
    labelled(config.folder)
    ran = []
    trained = auto_search.train

    def once(given):
        name = Path(given.out).name
        ran.append(name)
        if name == "fine-tuned" and ran.count(name) == 1:
            raise RunInterruptedError("Ctrl-C")
        return trained(given)

    monkeypatch.setattr(auto_search, "train", once)
    with pytest.raises(RunInterruptedError):
        auto(config)
    state = json.loads(Path(config.out, "auto.json").read_text())
    assert state["fine-tuned"]["status"] == "running" and state["logistic"]["status"] == "done"
    used = json.loads(Path(config.out, "budget.json").read_text())["used_seconds"]
    with pytest.raises(ConfigError, match="budget"):
        auto(replace(config, budget="9m"))
    result = auto(config)
    assert ran.count("logistic") == 1 and ran.count("fine-tuned") == 2
    assert result["used_seconds"] > used
    assert by_name(result)["fine-tuned"]["settings"] == state["fine-tuned"]["settings"]


@pytest.mark.slow
def test_killed_and_started_again(config):
    """A real process, really killed in the middle of a candidate's training."""
    pairs(config.folder, 400)
    arguments = [
        sys.executable, "-m", "tenor", "auto", config.folder, "--out", config.out, "--budget", "8m",
        "--model", config.model, "--device", "cpu", "--dtype", "fp32", "--json",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 240
    candidates = Path(config.out, "candidates")
    while not list(candidates.glob("*/checkpoints/checkpoint-*")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    used = json.loads(Path(config.out, "budget.json").read_text())["used_seconds"]
    assert used > 0 and not Path(config.out, "result.json").exists()
    done = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["used_seconds"] > used
    assert all(each["status"] == "done" for each in result["candidates"])
    assert "going on from step" in done.stderr or "is done already" in done.stderr


def test_another_folder_needs_another_place(config, monkeypatch, tmp_path):
    labelled(config.folder)
    trained = auto_search.train

    def stop(given):
        raise RunInterruptedError("Ctrl-C")

    monkeypatch.setattr(auto_search, "train", stop)
    with pytest.raises(RunInterruptedError):
        auto(config)
    monkeypatch.setattr(auto_search, "train", trained)
    with pytest.raises(ConfigError, match="folder"):
        auto(replace(config, folder=labelled(tmp_path)))
