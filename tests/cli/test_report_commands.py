"""tenor report and tenor reproduce, as they are typed."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor.cli import main
from tenor.recipes.experiments import measured_here
from tiny import tiny_model


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(map(str, arguments)))
    said = capsys.readouterr()
    return stopped.value.code, said.out, said.err


def test_a_report_is_left_and_written_again(tmp_path, capsys):
    pytest.importorskip("jinja2", reason="needs the extra `report`")
    texts = [f"the cat and the boat {n}" for n in range(12)]
    pq.write_table(pa.table({"anchor": texts, "positive": texts[::-1]}), tmp_path / "p.parquet")
    code, out, err = run(
        capsys, "train", "contrastive", "--train", tmp_path / "p.parquet", "--model",
        tiny_model(tmp_path / "start"), "--batch-size", 4, "--hold-out", 0.4, "--out",
        tmp_path / "run",
    )  # fmt: skip
    assert code == 0 and out == "" and f"report: {tmp_path / 'run' / 'report.html'}" in err
    first = (tmp_path / "run" / "report.html").read_text()
    code, out, _ = run(capsys, "report", tmp_path / "run", "--out", tmp_path / "r.html", "--json")
    assert code == 0
    assert json.loads(out) == {
        "report": str(tmp_path / "r.html"),
        "bytes": (tmp_path / "r.html").stat().st_size,
    }
    assert (tmp_path / "r.html").read_text() == first
    assert run(capsys, "report", tmp_path / "run")[1].strip() == str(
        tmp_path / "run" / "report.html"
    )
    code, out, err = run(capsys, "report", tmp_path)
    assert code == 2 and out == "" and "holds nothing to report" in err


def test_experiments_are_listed_with_what_was_measured(capsys, monkeypatch):
    measured = measured_here()
    measured.pop("tsdae", None)
    monkeypatch.setattr("tenor.recipes.experiments.measured_here", lambda: measured)
    code, out, _ = run(capsys, "reproduce", "--list")
    words = " ".join(out.split())
    assert code == 0
    assert "pearson_cosine 0.851, spearman_cosine 0.848 (all-MiniLM-L6-v2, STS-B" in words
    assert "benchmarks/results/train_mnr_nli_quality.json" in words
    assert "measured here: not measured yet" in words and "no figure named" in words
    code, out, _ = run(capsys, "reproduce", "--list", "--json")
    assert code == 0 and json.loads(out)["tsdae"]["measured"] == []
    code, _, err = run(capsys, "reproduce")
    assert code == 2 and "--list" in err
    code, _, err = run(capsys, "reproduce", "nothing", "--data", ".")
    assert code == 2 and "banking77-mteb" in err
