"""The plan: what is wrong with data is found and named, and the commands it gives run."""

import json
import logging
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor.cli import main
from tenor.errors import ConfigError, DataError, ModelError
from tenor.models.static import StaticEmbedder
from tenor.recipes.plan import PlanConfig, make_plan
from tenor.recipes.plan_probe import Pace
from tiny import random_texts, tiny_encoder, tiny_hf_tokenizer, tiny_model, write_csv
from tiny_labels import random_labelled
from tiny_tags import tagged_rows, write_jsonl


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A plain encoder: no embedder, trained for nothing."""
    folder = tmp_path_factory.mktemp("plain") / "model"
    tiny_encoder().transformer.save_pretrained(folder)
    tiny_hf_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture
def plan(model, tmp_path):
    """A plan without trying anything, unless asked to."""

    def plan(*files, probe=False, **settings):
        given = {"model": model, "runs": str(tmp_path / "runs"), "device": "cpu", **settings}
        files = tuple(str(file) for file in files)
        return make_plan(PlanConfig(**{"files": files, "probe": probe, "seconds": 1.0, **given}))

    return plan


def by_code(found):
    return {each["code"]: each for each in found["findings"]}


def names(found):
    return [each["name"] for each in found["recipes"]]


def write_labelled(path, rows, seed=0, **options):
    texts, labels = random_labelled(rows, seed=seed, **options)
    return write_csv(path, {"text": texts, "label": labels})


def write_pairs(path, rows, seed=0):
    left = [f"{text} {row}" for row, text in enumerate(random_texts(rows, seed=seed))]
    right = [f"far {text} near" for text in left]
    return write_csv(path, {"anchor": left, "positive": right})


def write_scored(path, rows, seed=0):
    generator = np.random.default_rng(seed)
    columns = {
        "sentence1": random_texts(rows, seed=seed, words=(3, 9)),
        "sentence2": random_texts(rows, seed=seed + 1, words=(3, 9)),
        "score": generator.random(rows).round(2),
    }
    return write_csv(path, columns)


def write_task(folder):
    folder.mkdir()
    texts = [f"{text} {row}" for row, text in enumerate(random_texts(30, seed=9, words=(3, 9)))]
    pq.write_table(pa.table({"id": [str(n) for n in range(30)], "text": texts}),
                   folder / "corpus.parquet")  # fmt: skip
    queries = {"id": ["q1", "q2"], "text": ["cat river", "sun moon"]}
    pq.write_table(pa.table(queries), folder / "queries.parquet")
    qrels = {"query_id": ["q1", "q2"], "doc_id": ["0", "5"], "score": [1, 1]}
    pq.write_table(pa.table(qrels), folder / "qrels.parquet")
    return folder


# -- what is wrong is found and named -------------------------------------------------------------


def test_a_leak_planted_between_train_and_test(plan, tmp_path):
    train = write_labelled(tmp_path / "train.csv", 60)
    texts, labels = random_labelled(30, seed=50)
    texts[4] = random_labelled(60)[0][17].upper()
    write_csv(tmp_path / "test.csv", {"text": texts, "label": labels})
    leak = by_code(plan(tmp_path))["leak"]
    assert leak["severity"] == "problem" and leak["path"].endswith("test.csv")
    assert leak["examples"][0]["line"] == 6 and train in leak["message"]


def test_a_class_with_one_example(plan, tmp_path):
    texts, labels = random_labelled(30)
    path = write_csv(
        tmp_path / "t.csv", {"text": [*texts, "a lone text"], "label": [*labels, "lonely"]}
    )
    found = by_code(plan(path))["single_example"]
    assert found["severity"] == "problem" and "'lonely'" in found["message"]


def test_texts_that_are_cut_off(plan, tmp_path):
    texts, labels = random_labelled(20)
    texts[3] = " ".join(["cat"] * 90)
    texts[9] = " ".join(["dog"] * 90)
    path = write_csv(tmp_path / "t.csv", {"text": texts, "label": labels})
    found = plan(path)
    cut = by_code(found)["cut_texts"]
    assert cut["severity"] == "warning" and cut["figures"]["text"]["cut"] == pytest.approx(0.1)
    assert "24 tokens" in cut["message"] and "--max-seq-length 80" in cut["message"]
    assert found["files"][0]["tokens"]["text"]["tokens"]["longest"] == 92
    # With room for them nothing is cut, and the commands ask for that room.
    found = plan(path, max_seq_length=80)
    assert by_code(found)["cut_texts"]["figures"]["text"]["cut"] == pytest.approx(0.1)
    assert "--max-seq-length 80" in found["recipes"][0]["commands"][0]


@pytest.mark.minilm
def test_flipped_labels_are_named(plan, minilm, tmp_path):
    texts, labels = random_labelled(240)
    flipped = [10, 60, 130]
    for row in flipped:
        labels[row] = {"animal": "colour", "colour": "weather", "weather": "animal"}[labels[row]]
    path = write_csv(tmp_path / "t.csv", {"text": texts, "label": labels})
    noise = by_code(plan(path, probe=True, model=str(minilm)))["label_noise"]
    lines = {example["line"] for example in noise["examples"]}
    assert lines >= {row + 2 for row in flipped}
    assert "looks like" in noise["examples"][0]["note"]


def test_one_label_one_class_and_constant_scores_leave_nothing_to_train(plan, tmp_path):
    one = write_csv(tmp_path / "one.csv", {"text": random_texts(30), "label": ["x"] * 30})
    each = write_csv(tmp_path / "each.csv", {"text": random_texts(30), "label": range(30)})
    same = {"sentence1": random_texts(30), "sentence2": random_texts(30, seed=1),
            "score": ["1.0"] * 30}  # fmt: skip
    for path, code in ((one, "one_class"), (each, "label_per_text"),
                       (write_csv(tmp_path / "same.csv", same), "constant_scores")):  # fmt: skip
        found = plan(path)
        assert by_code(found)[code]["severity"] == "problem"
        assert names(found) == []
        assert any(path == unfit["path"] for unfit in found["unfit"])


def test_a_batch_without_negatives(plan, tmp_path):
    columns = {"anchor": random_texts(120, words=(4, 9)), "positive": ["Ask us."] * 120}
    found = plan(write_csv(tmp_path / "pairs.csv", columns))
    assert by_code(found)["no_negatives"]["severity"] == "problem" and names(found) == []
    assert any("without negatives" in unfit["name"] for unfit in found["unfit"])


def test_bad_rows_are_counted_and_the_commands_skip_them(plan, tmp_path):
    texts, labels = random_labelled(40)
    path = write_csv(tmp_path / "t.csv", {"text": ["", *texts], "label": ["animal", *labels]})
    found = plan(path)
    assert "line 2, column 'text'" in by_code(found)["bad_rows"]["message"]
    assert "--on-bad-row skip" in found["recipes"][0]["commands"][0]


def test_a_file_that_cannot_be_used_does_not_hide_the_others(plan, tmp_path):
    write_labelled(tmp_path / "train.csv", 40)
    write_csv(tmp_path / "other.csv", {"q": random_texts(5, words=(4, 9)),
                                       "a": random_texts(5, seed=1, words=(4, 9))})  # fmt: skip
    found = plan(tmp_path)
    assert "--columns.anchor q --columns.positive a" in by_code(found)["unusable_file"]["message"]
    assert "logistic" in names(found)


# -- which recipes fit, and which do not ----------------------------------------------------------


def test_many_labelled_texts(plan, tmp_path):
    write_labelled(tmp_path / "train.csv", 240, labels=("animal", "colour"))
    write_labelled(tmp_path / "test.csv", 20, seed=9, labels=("animal", "colour"))
    found = plan(tmp_path)
    assert names(found) == ["logistic", "fine-tuned", "freeze-sweep"]
    assert any("few-shot" in unfit["name"] and "120" in unfit["why"] for unfit in found["unfit"])
    assert by_code(found)["no_validation"]["severity"] == "note"
    assert "--hold-out 0.2" in found["recipes"][0]["commands"][0]
    assert found["recipes"][0]["commands"][1].endswith("test.csv")


def test_few_labelled_texts(plan, tmp_path):
    write_labelled(tmp_path / "train.csv", 36)
    write_labelled(tmp_path / "dev.csv", 20, seed=9)
    found = plan(tmp_path)
    assert names(found) == ["logistic", "few-shot"]
    assert any("fine-tuning" in unfit["name"] for unfit in found["unfit"])
    assert "--validation" in found["recipes"][1]["commands"][0]


def test_pairs_with_a_task(plan, tmp_path):
    write_pairs(tmp_path / "train.csv", 520)
    write_pairs(tmp_path / "validation.csv", 30, seed=7)
    write_task(tmp_path / "task")
    found = plan(tmp_path)
    assert names(found) == ["untouched", "contrastive", "hard-negatives", "cross-encoder"]
    assert by_code(found).keys() <= {"repeated_rows", "shared_texts", "unknown_words"}
    unfit = {each["name"]: each["why"] for each in found["unfit"]}
    assert "trained for similarity" in unfit["TSDAE, masked language modelling and SimCSE"]
    contrastive = found["recipes"][1]["commands"]
    assert str(tmp_path / "validation.csv") in contrastive[0]
    assert contrastive[1] == shlex.join(
        ["tenor", "evaluate", "retrieval", f"{tmp_path}/runs/contrastive/model",
         str(tmp_path / "task")]
    )  # fmt: skip


def test_few_scored_pairs_with_raw_text(plan, tmp_path):
    write_scored(tmp_path / "gold.csv", 150)
    (tmp_path / "texts.txt").write_text("\n".join(random_texts(60, seed=4, words=(3, 9))) + "\n")
    found = plan(tmp_path)
    assert names(found)[:3] == ["contrastive", "augmented", "cross-encoder"]
    assert f"--pool {tmp_path}/texts.txt" in found["recipes"][1]["commands"][0]
    assert any("mnr" in each["name"] for each in found["unfit"])


def test_raw_text_by_model(plan, plain, tmp_path):
    texts = [f"{text} {row}" for row, text in enumerate(random_texts(250, words=(3, 9)))]
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(texts) + "\n")
    trained, untrained = plan(path), plan(path, model=plain)
    assert names(trained) == ["distilled"]
    assert {each["name"] for each in trained["unfit"]} == {
        "TSDAE, masked language modelling and SimCSE",
        "Word2Vec",
        "pairs made of the texts (--pairs-from)",
    }
    assert names(untrained) == ["tsdae", "mlm"]
    assert (trained["model"]["trained"], untrained["model"]["trained"]) == (True, False)


def test_raw_text_for_evaluation_measures_no_embedder(plan, model, plain, tmp_path):
    for seed, name in enumerate(("train", "validation", "test")):
        texts = random_texts(260, seed=seed, words=(45, 60))
        (tmp_path / f"{name}.txt").write_text("\n".join(texts) + "\n")
    for start in (model, plain):
        found = plan(tmp_path, model=start)
        commands = {each["name"]: each["commands"] for each in found["recipes"]}
        assert "--hold-out 0.1" in commands["from-documents"][0]
        assert not any("test.txt" in line for lines in commands.values() for line in lines)
    # Only the loss on text that was held out can be measured on it.
    for name in ("tsdae", "mlm"):
        assert f"--validation {tmp_path}/validation.txt" in commands[name][0]
    assert "validation.txt" not in commands["from-documents"][0]


def test_a_static_copy_is_made_on_the_device_that_was_asked_for(plan, tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(random_texts(60, words=(3, 9))) + "\n")
    found = plan(tmp_path, dtype="fp32", max_seq_length=16)
    command = found["recipes"][0]["commands"][0]
    assert command.startswith("tenor distill") and "--device cpu --dtype fp32" in command


def test_a_plain_encoder_learns_raw_text_first(plan, plain, tmp_path):
    write_pairs(tmp_path / "train.csv", 120)
    write_pairs(tmp_path / "test.csv", 20, seed=7)
    (tmp_path / "texts.txt").write_text("\n".join(random_texts(30, words=(3, 9))) + "\n")
    found = plan(tmp_path, model=plain)
    assert names(found)[0] == "adapted"
    assert "--text" in found["recipes"][0]["commands"][0]


def test_tagged_words(plan, tmp_path):
    write_jsonl(tmp_path / "train.jsonl", tagged_rows(120))
    write_jsonl(tmp_path / "dev.jsonl", tagged_rows(30, seed=5))
    found = plan(tmp_path)
    assert names(found) == ["tagger"]
    assert found["files"][1]["classes"].keys() == {"ANIMAL", "COLOUR", "PLACE"}


def test_an_evaluation_set_that_is_named_otherwise(plan, tmp_path):
    train = write_labelled(tmp_path / "a.csv", 60)
    other = write_labelled(tmp_path / "b.csv", 90, seed=9)
    found = plan(train, test=other)
    assert {each["path"]: each["split"] for each in found["files"]} == {train: None, other: "test"}
    assert found["recipes"][0]["trains_on"] == train
    # Alone, even a file that is called test is trained on, and that is said.
    alone = tmp_path / "test.csv"
    write_labelled(alone, 60)
    found = plan(alone)
    assert "named_like_evaluation" in by_code(found) and "logistic" in names(found)


# -- what it takes --------------------------------------------------------------------------------


def test_times_come_from_steps_that_were_tried(plan, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    path = write_labelled(tmp_path / "train.csv", 260, labels=("animal", "colour"))
    found = plan(path, probe=True)
    logistic, tuned = (each["estimate"] for each in found["recipes"][:2])
    assert tuned["steps"] == 7 * 10  # 208 rows of 260, 32 a step, ten epochs
    assert 0 < tuned["seconds_per_step"] < 2 and tuned["bytes"] > 1e8
    assert tuned["seconds"] > tuned["steps"] * tuned["seconds_per_step"]
    assert logistic["steps"] == 0 and 0 < logistic["seconds"] < tuned["seconds"] + 60
    assert found["recipes"][1]["takes"].startswith("70 steps, about")
    assert "texts a second" in caplog.text and "s a step" in caplog.text
    assert not (tmp_path / "runs").exists()  # nothing is kept
    untried = plan(path)["recipes"][1]["estimate"]
    assert untried["steps"] == 70 and untried["seconds"] is None


@pytest.mark.parametrize("kind", ["pairs", "scored", "few", "tagged", "raw"])
def test_every_recipe_can_be_tried(kind, plan, plain, tmp_path):
    settings = {}
    if kind == "pairs":
        write_pairs(tmp_path / "train.csv", 520)
        tried = ["contrastive", "hard-negatives", "cross-encoder"]
    elif kind == "scored":
        write_scored(tmp_path / "train.csv", 150)
        tried = ["contrastive", "augmented", "cross-encoder"]
    elif kind == "few":
        write_labelled(tmp_path / "train.csv", 36)
        tried = ["logistic", "few-shot"]
    elif kind == "tagged":
        write_jsonl(tmp_path / "train.jsonl", tagged_rows(60))
        tried = ["tagger"]
    else:
        (tmp_path / "texts.txt").write_text("\n".join(random_texts(250, words=(3, 9))) + "\n")
        tried, settings = ["tsdae", "mlm"], {"model": plain}
    found = {
        each["name"]: each["estimate"]
        for each in plan(tmp_path, probe=True, seconds=9.0, **settings)["recipes"]
    }
    for name in tried:
        assert found[name]["seconds"] > 0, name


@pytest.fixture
def paced(monkeypatch):
    """Steps that are said to take a millisecond for each row that there is."""

    def rehearse(config, source, **options):
        rows = source.profile.rows
        return Pace(0.001 * rows, 2, 10**9, rows)

    monkeypatch.setattr("tenor.recipes.plan_measure.rehearse", rehearse)


def test_each_of_two_files_has_a_pace_of_its_own(plan, paced, tmp_path):
    many = write_pairs(tmp_path / "pairs.csv", 640)
    few = write_scored(tmp_path / "scored.csv", 120)
    write_task(tmp_path / "task")
    found = plan(tmp_path, probe=True)
    assert names(found).count("untouched") == 1  # the same command once
    paces = {
        (each["name"], each["trains_on"]): each["estimate"]["seconds_per_step"]
        for each in found["recipes"]
    }
    assert paces["contrastive", many] == paces["cross-encoder", many] == pytest.approx(0.64)
    assert paces["contrastive", few] == paces["cross-encoder", few] == pytest.approx(0.12)
    assert paces["hard-negatives", many] == pytest.approx(1.5 * 0.64)
    tuned = {each["trains_on"]: each["estimate"] for each in found["recipes"]
             if each["name"] == "contrastive"}  # fmt: skip
    assert (tuned[many]["rows"], tuned[few]["rows"]) == (512, 96)


def test_masked_language_modelling_before_a_classifier_takes_its_time(plan, plain, paced, tmp_path):
    write_labelled(tmp_path / "train.csv", 240)
    texts = [f"{text} {row}" for row, text in enumerate(random_texts(600, words=(3, 9)))]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    found = plan(tmp_path, model=plain, probe=True)
    taken = {each["name"]: each["estimate"] for each in found["recipes"]}
    both, parts = taken["mlm-fine-tuned"], (taken["mlm"], taken["fine-tuned"])
    assert both["seconds"] == pytest.approx(sum(each["seconds"] for each in parts))
    assert both["steps"] == sum(each["steps"] for each in parts)
    # 5 % of the texts are held out, and each of the 18 steps takes 0.6 seconds.
    assert taken["mlm"]["steps"] == 18 and taken["mlm"]["seconds"] > 18 * 0.6


# -- the commands ---------------------------------------------------------------------------------

# Less work than by default for the recipes that label or read a lot.
QUICKER = {
    "augmented": ["--warm-up-pairs", "40", "--labeller-epochs", "1", "--max-pairs", "40"],
    "distilled": ["--dimensions", "8", "--min-count", "1"],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["few", "many", "pairs", "scored", "tagged", "raw"])
def test_the_commands_run_when_pasted(kind, plan, tmp_path, capsys):
    data = tmp_path / "my data"
    data.mkdir()
    if kind == "few":
        write_labelled(data / "train.csv", 30)
    elif kind == "many":
        write_labelled(data / "train.csv", 220)
        write_labelled(data / "test.csv", 24, seed=9)
    elif kind == "pairs":
        write_pairs(data / "train.csv", 520)
        write_task(data / "task")
    elif kind == "scored":
        write_scored(data / "train.csv", 120)
        write_scored(data / "test.csv", 20, seed=5)
    elif kind == "tagged":
        write_jsonl(data / "train.jsonl", tagged_rows(60))
        write_jsonl(data / "test.jsonl", tagged_rows(20, seed=3))
    else:
        rows = [{"title": f"{t} {n}", "body": " ".join(random_texts(3, seed=n, words=(5, 9)))}
                for n, t in enumerate(random_texts(220, seed=5, words=(2, 5)))]  # fmt: skip
        write_jsonl(data / "texts.jsonl", rows)
    found = plan(data)
    assert found["recipes"]
    for recipe in found["recipes"]:
        for command in recipe["commands"]:
            program, *arguments = shlex.split(command)
            if arguments[0] != "evaluate":
                arguments += QUICKER.get(recipe["name"], [])
            with pytest.raises(SystemExit) as stop:
                main(arguments)
            assert (program, stop.value.code) == ("tenor", 0), (command, capsys.readouterr().err)


def test_a_run_that_is_there_is_not_written_to(plan, tmp_path):
    path = write_labelled(tmp_path / "train.csv", 36)
    (tmp_path / "runs" / "logistic").mkdir(parents=True)
    assert "--out" in (command := plan(path)["recipes"][0]["commands"][0])
    assert f"{tmp_path}/runs/logistic-2" in command


def test_columns_of_other_names_are_in_the_commands(plan, tmp_path):
    texts, labels = random_labelled(40)
    path = write_csv(tmp_path / "t.csv", {"ticket": texts, "team": labels})
    found = plan(path, columns={"text": "ticket", "label": "team"})
    assert "--columns.text ticket --columns.label team" in found["recipes"][0]["commands"][0]
    with pytest.raises(ConfigError, match="columns"):
        plan(path, columns={"text": "nothing", "label": "team"})


def test_evaluation_data_with_other_columns_are_not_given_to_what_cannot_read_them(plan, tmp_path):
    texts, labels = random_labelled(240)
    train = write_csv(tmp_path / "train.csv", {"body": texts, "team": labels})
    dev = write_labelled(tmp_path / "dev.csv", 30, seed=3)
    test = write_labelled(tmp_path / "test.csv", 30, seed=5)
    found = plan(tmp_path, columns={"text": "body", "label": "team"})
    finding = by_code(found)["other_columns"]
    assert finding["path"] == dev and train in finding["message"]
    assert "no_validation" not in by_code(found)
    commands = {each["name"]: each["commands"] for each in found["recipes"]}
    assert all("--hold-out 0.2" in lines[0] and dev not in lines[0] for lines in commands.values())
    assert "freeze-sweep" not in commands
    assert commands["logistic"][1].endswith(test)  # a command of its own can read it
    # With the same names all of them are used.
    for path, seed in ((dev, 3), (test, 5)):
        texts, labels = random_labelled(30, seed=seed)
        write_csv(Path(path), {"body": texts, "team": labels})
    found = plan(tmp_path, columns={"text": "body", "label": "team"})
    assert "other_columns" not in by_code(found) and "freeze-sweep" in names(found)
    assert dev in found["recipes"][0]["commands"][0]


# -- wrong use ------------------------------------------------------------------------------------


def test_wrong_use_is_told(plan, tmp_path):
    with pytest.raises(ConfigError, match="files"):
        PlanConfig(files=())
    with pytest.raises(ConfigError, match="seconds"):
        replace(PlanConfig(files=("a",)), seconds=0.0)
    with pytest.raises(DataError, match="no such file"):
        plan(tmp_path / "missing.csv")
    path = write_labelled(tmp_path / "t.csv", 30)
    with pytest.raises(ModelError):
        plan(path, model=str(tmp_path / "nowhere"))
    static = tmp_path / "static"
    StaticEmbedder(
        np.ones((len(tiny_hf_tokenizer()), 4), dtype=np.float32),
        tiny_hf_tokenizer().backend_tokenizer,
    ).save(static)
    with pytest.raises(ConfigError, match="static"):
        plan(path, model=str(static))


def test_a_plan_is_plain_values(plan, tmp_path):
    found = plan(write_labelled(tmp_path / "t.csv", 30))
    assert json.loads(json.dumps(found)) == found
    assert found["model"]["limit"] == 24 and found["machine"]["cores"]


@pytest.mark.data
@pytest.mark.minilm
@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("medquad", "untouched"),
        ("banking77", "logistic"),
        ("conll2003", "tagger"),
        ("stsb", "untouched"),
    ],
)
def test_real_data(name, first, plan, shared_data, minilm):
    found = plan(Path(shared_data) / name, model=str(minilm))
    assert names(found)[0] == first
    assert not any(each["code"] == "unusable_file" for each in found["findings"])
