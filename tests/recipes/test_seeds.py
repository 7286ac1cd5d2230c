"""Any recipe over several seeds: a run each, the spread, the best model, going on after a stop."""

import json
import logging
import re
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from tenor.errors import ConfigError, DataError
from tenor.formats.locate import hash_model
from tenor.recipes.augmented import AugmentedConfig, train_augmented
from tenor.recipes.classifier import ClassifierConfig, train_classifier
from tenor.recipes.contrastive import ContrastiveConfig, train_contrastive
from tenor.recipes.cross_encoder import CrossEncoderConfig, train_cross_encoder
from tenor.recipes.few_shot import FewShotConfig, train_few_shot
from tenor.recipes.mlm import MlmConfig, train_mlm
from tenor.recipes.seed_figures import deciding, figures_of, spread
from tenor.recipes.tagger import TaggerConfig, train_tagger
from tenor.recipes.tsdae import TsdaeConfig, train_tsdae
from tenor.recipes.word2vec import Word2VecConfig, train_word2vec
from tenor.training.trainer import Trainer
from tiny import random_texts, tiny_encoder, tiny_model, tiny_tokenizer, write_csv
from tiny_labels import random_labelled
from tiny_tags import tagged_rows, write_jsonl


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model", dropout=0.1)


def labelled(folder, name="train", rows=36, seed=0):
    texts, labels = random_labelled(rows, seed=seed)
    return write_csv(folder / f"{name}.csv", {"text": texts, "label": labels})


def scored(folder, name="scored", rows=24, seed=1):
    left, right = (random_texts(rows, seed=seed + n, words=(3, 9)) for n in (0, 1))
    score = [float(number % 6) for number in range(rows)]
    columns = {"sentence1": left, "sentence2": right, "score": score}
    return write_csv(folder / f"{name}.csv", columns)


def raw(folder):
    path = folder / "texts.txt"
    path.write_text("\n".join(random_texts(60, words=(3, 20))) + "\n")
    return str(path)


def plain_encoder(folder):
    tiny_encoder(std=0.1, dropout=0.1).save(folder)
    tiny_tokenizer().save(folder)
    return str(folder)


def settings(kind, folder, start):
    shared = {"out": str(folder / "run"), "seeds": 2, "seed": 3}
    quick = {"device": "cpu", "dtype": "fp32", "batch_size": 8, "learning_rate": 3e-3}
    if kind is Word2VecConfig:
        words = {"dimensions": 8, "epochs": 1, "min_count": 1}
        return kind(train=raw(folder), evaluate=scored(folder), **words, **shared)
    shared |= quick
    if kind is FewShotConfig:
        given = {"shots": 4, "steps": 3, "hold_out": 0.3}
        return kind(train=labelled(folder), model=start, **given, **shared)
    shared["max_steps"] = 3
    if kind is AugmentedConfig:
        given = {"top_k": 2, "labeller_epochs": 1, "warm_up_pairs": 8, "random_share": 0.0}
        held = {"hold_out": 0.5, "test": scored(folder, "test", seed=9)}
        return kind(gold=scored(folder), pool=raw(folder), model=start, **held, **given, **shared)
    if kind is ClassifierConfig:
        return kind(train=labelled(folder), model=start, hold_out=0.3, **shared)
    if kind is TaggerConfig:
        path = write_jsonl(folder / "tags.jsonl", tagged_rows(24))
        return kind(train=path, model=start, hold_out=0.4, **shared)
    if kind is MlmConfig:
        return kind(train=raw(folder), model=start, hold_out=0.3, **shared)
    if kind is TsdaeConfig:
        encoder = plain_encoder(folder / "encoder")
        return kind(train=raw(folder), model=encoder, hold_out=0.3, **shared)
    return kind(train=scored(folder), model=start, hold_out=0.4, **shared)


RECIPES = {
    ContrastiveConfig: train_contrastive,
    CrossEncoderConfig: train_cross_encoder,
    ClassifierConfig: train_classifier,
    TaggerConfig: train_tagger,
    MlmConfig: train_mlm,
    TsdaeConfig: train_tsdae,
    FewShotConfig: train_few_shot,
    Word2VecConfig: train_word2vec,
    AugmentedConfig: train_augmented,
}


@pytest.mark.parametrize("kind", RECIPES, ids=lambda kind: kind.__name__)
def test_every_recipe_runs_over_seeds(kind, tmp_path, start, caplog):
    if kind is Word2VecConfig:
        pytest.importorskip("gensim")
    caplog.set_level(logging.INFO, logger="tenor")
    config = settings(kind, tmp_path, start)
    result = RECIPES[kind](config)
    out = Path(config.out)
    assert json.loads((out / "result.json").read_text()) == result
    runs = [json.loads((out / f"seed-{seed}" / "result.json").read_text()) for seed in (3, 4)]
    metric = result["metric"]
    values = [deciding(run) for run in runs]
    found = result["figures"]["validation"]["after"][metric]
    assert found["values"] == values == [each["value"] for each in result["seeds"]]
    assert found["mean"] == pytest.approx(sum(values) / 2)
    assert found["deviation"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    kept = 3 if values[0] >= values[1] else 4
    assert result["kept_seed"] == kept and "luckiest of 2" in result["kept_why"]
    assert hash_model(out / "model") == result["model"]["sha256"]
    if kind is not Word2VecConfig:  # whose card alone differs
        assert runs[0]["model"]["sha256"] != runs[1]["model"]["sha256"], "each seed trains its own"
    weights = {path.name for path in (out / f"seed-{kept}" / "model").iterdir()}
    assert {path.name for path in (out / "model").iterdir()} == weights
    assert result["kept_why"] in (out / "model" / "README.md").read_text()
    assert f"over 2 seeds, from {min(values):.4f}" in caplog.text
    assert re.search(r"seed 4, 2 of 2: about \d+ s to go", caplog.text)
    assert ("test" in result["figures"]) == (kind is AugmentedConfig)


def test_a_seeds_run_is_the_run_of_that_seed_alone(tmp_path, start):
    config = settings(ClassifierConfig, tmp_path, start)
    held = labelled(tmp_path, "held", rows=18, seed=8)
    config = replace(config, hold_out=0.0, validation=held)
    together = train_classifier(config)
    alone = train_classifier(replace(config, out=str(tmp_path / "alone"), seed=4, seeds=1))
    assert alone["model"]["sha256"] == together["seeds"][1]["model"]["sha256"]
    assert not (tmp_path / "alone" / "seed-4").exists()
    assert "\nseeds" not in (tmp_path / "alone" / "config.toml").read_text()
    assert "\nseeds = 2" in Path(config.out, "config.toml").read_text()


def test_all_seeds_are_measured_on_the_same_rows(tmp_path, start):
    config = settings(ContrastiveConfig, tmp_path, start)
    result = train_contrastive(config)
    before = result["figures"]["validation"]["before"][result["metric"]]
    assert before["deviation"] == pytest.approx(0.0, abs=1e-9)
    for seed in (3, 4):
        stored = Path(config.out, f"seed-{seed}", "config.toml").read_text()
        assert "\nsplit_seed = 3\n" in stored and f"\nseed = {seed}\n" in stored
    other = replace(config, out=str(tmp_path / "other"), seeds=1, split_seed=7)
    assert train_contrastive(other)["before"]["metrics"] != result["before"]["metrics"]


def test_what_was_stopped_goes_on_and_what_was_done_is_not_done_again(
    tmp_path, start, monkeypatch, caplog
):
    config = settings(ClassifierConfig, tmp_path, start)
    whole = train_classifier(replace(config, out=str(tmp_path / "whole")))
    step, taken = Trainer.training_step, []

    def stops(self, *given, **named):
        if len(taken) == 4:  # in the second run, after its first step
            raise KeyboardInterrupt
        taken.append(self.state.global_step)
        return step(self, *given, **named)

    monkeypatch.setattr(Trainer, "training_step", stops)
    config = replace(config, save_every=1)
    with pytest.raises(Exception, match="run the same again, with --resume"):
        train_classifier(config)
    assert not Path(config.out, "result.json").exists()
    first = Path(config.out, "seed-3", "result.json").stat().st_mtime_ns
    monkeypatch.setattr(Trainer, "training_step", step)
    with pytest.raises(ConfigError, match="--resume"):
        train_classifier(config)
    caplog.set_level(logging.INFO, logger="tenor")
    result = train_classifier(replace(config, resume=True))
    assert "seed 3, 1 of 2: done before" in caplog.text and "going on from step 1" in caplog.text
    assert Path(config.out, "seed-3", "result.json").stat().st_mtime_ns == first
    assert [each["value"] for each in result["seeds"]] == [each["value"] for each in whole["seeds"]]
    assert result["model"]["sha256"] == whole["model"]["sha256"]
    assert train_classifier(replace(config, resume=True)) == result
    with pytest.raises(ConfigError, match="seeds"):
        train_classifier(replace(config, resume=True, seeds=3))


def test_data_that_changes_between_the_runs_is_noticed(tmp_path, start, monkeypatch):
    config = settings(ClassifierConfig, tmp_path, start)
    save = Trainer.finish

    def changes(self):
        save(self)
        labelled(tmp_path, seed=99)

    monkeypatch.setattr(Trainer, "finish", changes)
    with pytest.raises(DataError, match="is not what the run"):
        train_classifier(config)


def test_what_makes_no_sense_is_refused(tmp_path, start, monkeypatch):
    config = settings(ClassifierConfig, tmp_path, start)
    for changes, field in (
        ({"seeds": 0}, "seeds"),
        ({"hold_out": 0.0}, "seeds.*nothing to compare"),
        ({"seed": (1 << 32) - 1}, "seeds"),
        ({"split_seed": -1}, "split_seed"),
    ):
        with pytest.raises(ConfigError, match=field):
            replace(config, **changes)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="torchrun"):
        train_classifier(config)
    assert not Path(config.out).exists()


def test_figures_by_split_and_model():
    def run(alone, both, kept):
        results = {"gold-only": {"metrics": {"f": alone}}, "gold-silver": {"metrics": {"f": both}}}
        return {"metric": "f", "kept": kept, "comparison": {"results": results}, "test": None}

    runs = [run(0.1, 0.2, "gold-silver"), run(0.4, 0.3, "gold-only")]
    assert figures_of(runs[1])["validation"]["after"] == {"f": 0.4}
    made = spread(runs)
    assert made["validation"]["after"]["f"]["values"] == [0.2, 0.4]
    assert made["validation"]["gold-only"]["f"]["mean"] == pytest.approx(0.25)
    assert made["validation"]["gold-silver"]["f"]["deviation"] == pytest.approx(
        statistics.stdev([0.2, 0.3])
    )
    assert "test" not in made


def test_a_figure_that_one_run_lacks_has_no_spread():
    runs = [{"after": {"metrics": m}, "metric": "f"} for m in ({"f": 1.0, "g": 2.0}, {"f": 2.0})]
    assert spread(runs)["validation"]["after"].keys() == {"f"}


def test_the_report_has_a_row_for_each_seed(tmp_path, start):
    pytest.importorskip("jinja2", reason="needs the extra `report`")
    config = settings(ClassifierConfig, tmp_path, start)
    result = train_classifier(config)
    out = Path(config.out)
    page = (out / "report.html").read_text(encoding="utf-8")
    found = result["figures"]["validation"]["after"]["macro_f1"]
    assert f"{found['mean']:.3f} ± {found['deviation']:.3f}" in page
    for told in ("seed 3", "seed 4", "Training: seed-4", "luckiest of 2", "--seeds 2"):
        assert told in page, told
    assert (out / "seed-3" / "report.html").exists()
    assert "--split-seed 3" in (out / "seed-4" / "command.txt").read_text()
