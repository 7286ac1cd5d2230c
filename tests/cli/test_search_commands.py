"""The commands `index` and `search`: what they print, and what they refuse."""

import json
import subprocess
import sys

import pytest
from cyclopts import App

from tenor.cli import search_commands
from tenor.errors import ConfigError, DataError
from tiny import random_texts, tiny_model, write_csv

TEXTS = list(dict.fromkeys(random_texts(40, seed=7, words=(4, 9))))[:20]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture
def corpus(tmp_path):
    columns = {"id": [f"d{i}" for i in range(20)], "text": TEXTS, "year": [2000, 2001] * 10}
    return write_csv(tmp_path / "corpus.csv", columns)


@pytest.fixture
def run(capsys):
    """Run a command and return what it printed on stdout."""

    def run(*arguments):
        app = App()
        search_commands.add_to(app)
        tokens = [str(argument) for argument in arguments]
        app(tokens, exit_on_error=False, result_action="return_value")
        return capsys.readouterr().out

    return run


@pytest.fixture
def folder(run, model, corpus, tmp_path):
    run("index", model, corpus, "--out", tmp_path / "index", "--dtype", "fp32")
    return tmp_path / "index"


def found(run, *arguments):
    return json.loads(run("search", *arguments, "--json", "--dtype", "fp32"))["hits"]


def test_a_search_prints_one_json_object(run, folder, model):
    answer = json.loads(run("search", folder, TEXTS[3], "-k", 2, "--json", "--dtype", "fp32"))
    assert answer["query"] == TEXTS[3] and answer["documents"] == 20 and answer["model"] == model
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2]
    best = answer["hits"][0]
    assert best["id"] == "d3" and best["text"] == TEXTS[3] and best["metadata"] == {"year": "2001"}
    assert best["score"] == pytest.approx(1.0, abs=1e-4)


def test_a_search_prints_a_table(run, folder):
    said = run("search", folder, TEXTS[3], "-k", 3)
    assert "similarity" in said and "d3" in said and TEXTS[3].split()[0] in said
    assert "1.0000" in said
    assert run("search", folder, "cat", "--where", "year=1999") == "No document matches.\n"


def test_markup_in_a_query_or_text_is_only_text(run, folder):
    assert "[red]" in run("search", folder, "[red]cat[/red] [/]", "-k", 1)


def test_conditions_of_one_column_are_alternatives(run, folder):
    both = ("--where", "year=2001", "--where", "year=1999")
    hits = found(run, folder, TEXTS[4], "-k", 30, *both)
    assert len(hits) == 10 and {hit["metadata"]["year"] for hit in hits} == {"2001"}


def test_documents_are_added_replaced_and_deleted(run, folder, tmp_path):
    new = write_csv(tmp_path / "new.csv", {"id": ["d3", "new"], "text": ["snow", "wind and rain"]})
    report = json.loads(run("index", "add", folder, new, "--json"))
    assert (report["added"], report["replaced"], report["documents"]) == (1, 1, 21)
    assert found(run, folder, "wind and rain")[0]["id"] == "new"
    (tmp_path / "old.txt").write_text("d1\nd2\n")
    report = json.loads(
        run("index", "delete", folder, "new", "--ids-from", tmp_path / "old.txt", "--json")
    )
    assert (report["deleted"], report["documents"]) == (3, 18)
    assert not {"new", "d1", "d2"} & {hit["id"] for hit in found(run, folder, "wind", "-k", 30)}
    with pytest.raises(DataError, match="'d1'"):
        run("index", "delete", folder, "d0", "d1")
    with pytest.raises(ConfigError, match="--ids-from"):
        run("index", "delete", folder)


def test_an_index_keeps_the_columns_it_was_built_with(run, model, tmp_path):
    first = write_csv(tmp_path / "a.csv", {"key": ["a", "b"], "body": TEXTS[:2], "x": [1, 2]})
    more = write_csv(tmp_path / "b.csv", {"key": ["b", "c"], "body": TEXTS[2:4], "x": [3, 4]})
    flags = ("--column", "body", "--id-column", "key")
    report = json.loads(run("index", model, first, "--out", tmp_path / "i", *flags, "--json"))
    assert report["documents"] == 2
    assert json.loads(run("index", "add", tmp_path / "i", more, "--json"))["replaced"] == 1
    assert found(run, tmp_path / "i", TEXTS[3])[0]["id"] == "c"


def test_hybrid_search_after_a_rebuild(run, folder):
    pytest.importorskip("bm25s")
    with pytest.raises(ConfigError, match="tenor index rebuild"):
        run("search", folder, "cat", "--hybrid")
    run("index", "rebuild", folder, "--lexical")
    assert "fused" in run("search", folder, TEXTS[0], "--hybrid")
    hits = found(run, folder, TEXTS[0], "--hybrid")
    assert hits[0]["id"] == "d0" and {"similarity", "bm25", "fused"} == hits[0]["scores"].keys()


def test_the_commands_import_nothing_heavy():
    code = """
import sys
import tenor.cli.search_commands
heavy = {"torch", "transformers", "pyarrow", "numpy", "bm25s", "usearch"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_cross_encoder_orders_the_hits(run, folder, monkeypatch):
    class Shortest:
        @classmethod
        def load(cls, name, **options):
            assert name == "some/cross-encoder"
            return cls()

        def score(self, pairs):
            return [-float(len(text)) for _, text in pairs]

    monkeypatch.setattr("tenor.models.cross_encoder.CrossEncoder", Shortest)
    hits = found(run, folder, "cat", "-k", 2, "--rerank", "some/cross-encoder")
    assert len(hits[0]["text"]) == min(map(len, TEXTS))
    assert hits[0]["score"] == hits[0]["scores"]["reranked"] == -len(hits[0]["text"])
