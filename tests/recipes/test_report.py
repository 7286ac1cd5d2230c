"""Reports of runs, sweeps and comparisons, from the files in their folders."""

import html
import json
import re
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from browser import chromium
from tenor.errors import ConfigError, DataError, MissingExtraError
from tenor.evaluation.map_sample import MapSample, StoredMap, write_map
from tenor.evaluation.predictions import read_predictions
from tenor.recipes import reporting
from tenor.recipes.classifier import ClassifierConfig, train_classifier
from tenor.recipes.contrastive import ContrastiveConfig, train_contrastive
from tenor.recipes.cross_encoder import CrossEncoderConfig, train_cross_encoder
from tenor.recipes.report import write_run_report
from tenor.recipes.report_items import map_section
from tenor.recipes.sweep import FreezeSweepConfig, sweep_freeze
from tenor.recipes.tagger import TaggerConfig, train_tagger
from tiny import tiny_model

pytest.importorskip("jinja2", reason="needs the extra `report`")

EVIL = "<script>alert('no')</script>"
WORDS = ["sun", "rain", "bank", "river", "cat", "dog", "tree", "boat"]


def texts(count):
    return [f"the {WORDS[n % 8]} and the {WORDS[(3 * n + 1) % 8]} {n}" for n in range(count)]


def write(path, columns):
    pq.write_table(pa.table(columns), path)
    return str(path)


@pytest.fixture
def start(tmp_path):
    return str(tiny_model(tmp_path / "start"))


def page_of(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def visible(page):
    page = re.sub(r"<(style|script|svg|title).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def run_classifier(tmp_path, start, **changes):
    rows = texts(24)
    rows[0] = EVIL
    labels = ["water" if any(w in t for w in ("river", "boat")) else "land" for t in rows]
    labels[0] = "<i>odd"
    file = write(tmp_path / "labelled.parquet", {"text": rows, "label": labels})
    config = ClassifierConfig(
        train=file, validation=file, model=start, out=str(tmp_path / "run"), batch_size=8, **changes
    )
    train_classifier(config)
    return tmp_path / "run"


def run_contrastive(tmp_path, start, **changes):
    anchors = texts(20)
    anchors[0] = f"{EVIL} sun"
    positives = [f"about {text}" for text in anchors]
    file = write(tmp_path / "pairs.parquet", {"anchor": anchors, "positive": positives})
    config = ContrastiveConfig(
        train=file, validation=file, model=start, out=str(tmp_path / "run"), batch_size=5,
        log_every=1, **changes,
    )  # fmt: skip
    train_contrastive(config)
    return tmp_path / "run"


def test_a_classifiers_report_shows_what_it_takes_for_what(tmp_path, start):
    folder = run_classifier(tmp_path, start)
    page, result = page_of(folder), json.loads((folder / "result.json").read_text())
    text = visible(page)
    assert "training of a classifier" in text
    for part in ("Before and after", "What is taken for what", "Label by label", "To repeat it"):
        assert f"<h2>{part}</h2>" in page
    cell = next(c for c in result["after"]["confusion"] if c["gold"] != c["found"])
    counts = result["after"]["per_label"]
    due = next(label["texts"] for label in counts if label["label"] == cell["gold"])
    title = f"{cell['gold']} given {cell['found']}: {cell['count']} of {due}"
    assert title.replace("<", "&lt;").replace(">", "&gt;") in page
    assert result["data"]["sha256"] in page and result["model"]["sha256"] in page
    command = (folder / "command.txt").read_text().strip()
    assert command.startswith("tenor train classifier --train ") and "--batch-size 8" in command
    assert command in page
    assert re.search(r"2\d of 2\d evaluation texts", text)


def test_texts_and_labels_of_users_are_escaped(tmp_path, start):
    other = str(tiny_model(tmp_path / "other" / "start"))
    classifier = page_of(run_classifier(tmp_path, start))
    embedder = page_of(run_contrastive(tmp_path / "other", other))
    assert "&lt;i&gt;odd" in classifier and "<i>" not in classifier
    assert "&lt;script&gt;alert(" in embedder
    for page in (classifier, embedder):
        assert all("alert" not in s for s in re.findall(r"<script>(.*?)</script>", page, re.DOTALL))


def test_an_embedders_report_shows_wins_losses_and_a_map(tmp_path, start):
    folder = run_contrastive(tmp_path, start, epochs=2)
    page, text = page_of(folder), visible(page_of(folder))
    found = read_predictions(folder)
    assert found.kind == "retrieval" and len(found.table) == 20
    for row in found.table.to_pylist():
        assert row["document"] == f"about {row['query']}"
        assert (row["rank"] == 1) == (row["top"] == row["document"])
        assert row["rank_before"] >= 1 and row["top_before"].startswith("about")
    better = sum(row["rank"] < row["rank_before"] for row in found.table.to_pylist())
    assert f"{better} improved" in text
    assert page.count("<circle") >= 4 * 40 and "before training" in page  # two sizes, two maps
    assert "queries: the sun and the rain" in page or "queries: the" in page
    assert "Training loss" in page and "ndcg@10" in text


@pytest.mark.parametrize(
    ("column", "values", "title"),
    [
        ("score", [n / 19 for n in range(20)], "Scores by gold score"),
        ("label", [n % 2 for n in range(20)], "Scores of positives and negatives"),
    ],
)
def test_pairs_have_the_spread_of_their_scores(tmp_path, start, column, values, title):
    columns = {"sentence1": texts(20), "sentence2": texts(40)[20:], column: values}
    file = write(tmp_path / "pairs.parquet", columns)
    settings = {"train": file, "validation": file, "model": start, "batch_size": 10}
    train_contrastive(ContrastiveConfig(**settings, out=str(tmp_path / "bi")))
    train_cross_encoder(CrossEncoderConfig(**settings, out=str(tmp_path / "cross")))
    for name in ("bi", "cross"):
        found = read_predictions(tmp_path / name)
        assert found.kind == "pairs" and found.table["score_before"].null_count == 0
        assert [float(v) for v in found.table["gold"].to_pylist()] == pytest.approx(values)
        assert f"<h2>{title}</h2>" in page_of(tmp_path / name)
    assert "Map of the embeddings" in page_of(tmp_path / "bi")
    assert "Map of the embeddings" not in page_of(tmp_path / "cross")


def test_a_taggers_errors_stand_in_their_context(tmp_path, start):
    tokens = [text.split() for text in texts(16)]
    tags = [["O", "B-THING", "O", "O", "B-PLACE", "O"] for _ in tokens]
    file = write(tmp_path / "tagged.parquet", {"tokens": tokens, "ner_tags": tags})
    train_tagger(
        TaggerConfig(train=file, validation=file, model=start, out=str(tmp_path / "run"), epochs=1)
    )
    page, text = page_of(tmp_path / "run"), visible(page_of(tmp_path / "run"))
    found = read_predictions(tmp_path / "run")
    assert found.kind == "tagging"
    row = found.table.to_pylist()[0]
    assert row["text"][row["gold"][0]["start"] : row["gold"][0]["end"]] == "sun"
    notes = json.loads((tmp_path / "run/result.json").read_text())["after"]["notes"]
    assert f"{notes['missed']:,} missed" in text and f"{notes['spurious']:,} spurious" in text
    assert '<mark class="gold' in page or '<mark class="found' in page
    assert "<h2>Type by type</h2>" in page


def test_a_sweeps_report_has_the_freeze_curve(tmp_path, start):
    rows = texts(24)
    labels = ["water" if any(w in t for w in ("river", "boat")) else "land" for t in rows]
    file = write(tmp_path / "labelled.parquet", {"text": rows, "label": labels})
    config = FreezeSweepConfig(
        train=file, test=file, model=start, out=str(tmp_path / "sweep"), depths="0,1", epochs=1
    )
    sweep_freeze(config)
    page = page_of(tmp_path / "sweep")
    assert "Training, minutes" in page and "frozen blocks" in page
    assert "<h2>Depth by depth</h2>" in page
    assert "tenor sweep freeze" in page


def test_without_the_extra_a_run_is_done_and_one_line_says_how_to_get_it(
    tmp_path, start, monkeypatch, caplog
):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with caplog.at_level("INFO", "tenor"):
        folder = run_classifier(tmp_path, start)
    assert (folder / "result.json").exists() and not (folder / "report.html").exists()
    lines = [line for line in caplog.messages if "no report" in line]
    assert len(lines) == 1 and "pip install 'tenor[report]'" in lines[0]
    monkeypatch.undo()
    assert write_run_report(folder).exists()  # later, from the files alone


def test_a_report_that_fails_takes_nothing_from_the_run(
    tmp_path, start, monkeypatch, caplog, failed_reports
):
    def broken(folder):
        raise ValueError("a bad day")

    monkeypatch.setattr("tenor.recipes.report.write_run_report", broken)
    folder = run_classifier(tmp_path, start, head="logistic")
    assert (folder / "model").is_dir() and "a bad day" in caplog.text
    assert reporting.leave_report(tmp_path / "nothing") is None
    failed_reports.clear()  # those were meant to


def test_a_run_without_validation_and_one_that_is_not_done(tmp_path, start):
    file = write(tmp_path / "p.parquet", {"anchor": texts(8), "positive": texts(16)[8:]})
    config = ContrastiveConfig(train=file, model=start, out=str(tmp_path / "run"), batch_size=4)
    train_contrastive(config)
    assert "nothing is known of the model's quality" in visible(page_of(tmp_path / "run"))
    (tmp_path / "run" / "result.json").unlink()
    with (tmp_path / "run" / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "lo')  # killed while it wrote
    text = visible(write_run_report(tmp_path / "run").read_text())
    assert "This run is not done" in text and "The loss was" in text


def test_what_is_no_run_and_what_is_damaged_is_named(tmp_path, start):
    with pytest.raises(DataError, match="holds nothing to report"):
        write_run_report(tmp_path)
    with pytest.raises(ConfigError, match="pca or umap"):
        write_run_report(tmp_path, projection="tsne")
    folder = run_contrastive(tmp_path, start)
    (folder / "map.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match="cannot be read"):
        write_run_report(folder)
    (folder / "map.parquet").unlink()
    (folder / "config.toml").write_text("= 1")
    with pytest.raises(DataError, match="damaged"):
        write_run_report(folder)


def test_a_map_by_umap_or_how_to_get_it(tmp_path, start, monkeypatch):
    folder = run_contrastive(tmp_path, start)
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"tenor\[umap\]"):
        write_run_report(folder, projection="umap")
    assert "principal component" in page_of(folder)  # the page that was there still is


def test_too_few_texts_for_umap_are_drawn_by_pca_and_the_page_says_so(tmp_path):
    vectors = np.eye(4, dtype=np.float32)
    write_map(tmp_path, StoredMap(MapSample(list("abcd"), ["x"] * 4, []), None, vectors))
    assert map_section(tmp_path, "umap") == map_section(tmp_path, "pca")
    assert "principal component" in map_section(tmp_path, "umap").method


def test_chromium_opens_reports_without_an_error_or_a_request(tmp_path, start):
    classifier = run_classifier(tmp_path, start) / "report.html"
    other = str(tiny_model(tmp_path / "other" / "start"))
    embedder = run_contrastive(tmp_path / "other", other) / "report.html"
    with chromium(tmp_path / "browser") as page:
        for file in (classifier, embedder):
            for look in ({}, {"width": 390, "height": 844}, {"dark": True}):
                page.open(file, **look)
                assert page.console == [] and page.requests == []
                assert page.run("document.documentElement.scrollWidth <= innerWidth")
                shown = page.run(
                    "[...document.querySelectorAll('svg')].filter("
                    "e => getComputedStyle(e).display != 'none').map(e => e.dataset.screen).join()"
                )
                assert set(shown.split(",")) == {"narrow" if "width" in look else "wide"}
                paper = page.run("getComputedStyle(document.body).backgroundColor")
                assert paper == ("rgb(18, 23, 29)" if "dark" in look else "rgb(255, 255, 255)")
        touched = (
            "(() => {const dot = [...document.querySelectorAll('circle')].find("
            "e => e.getBoundingClientRect().width > 0 && e.querySelector('title'));"
            "dot.dispatchEvent(new PointerEvent('pointerdown', {bubbles: true}));"
            "return document.querySelector('[data-shown]').textContent})()"
        )
        assert re.match(r"(queries|right documents): ", page.run(touched))
        page.pdf(tmp_path / "report.pdf")
        assert (tmp_path / "report.pdf").read_bytes()[:4] == b"%PDF"

        noisy = tmp_path / "noisy.html"  # the test sees what it looks for
        noisy.write_text("<img src=http://evil.example/x.png><script>console.log('seen')</script>")
        page.open(noisy)
        assert "seen" in page.console
        assert page.requests == ["http://evil.example/x.png"]


def test_settings_that_are_not_the_default_are_the_command(tmp_path, start):
    from tenor.cli import make_app
    from tenor.training.command import command_line

    config = ContrastiveConfig(
        train="my pairs.csv", out="run", columns={"anchor": "title"}, matryoshka=(64, 32),
        symmetric=True, hold_out=0.1,
    )  # fmt: skip
    command = command_line(config)
    _, bound, _ = make_app().parse_args(command.removeprefix("tenor "))
    assert bound.arguments["settings"] == config
    assert command_line(replace(config, resume=True)) == command
