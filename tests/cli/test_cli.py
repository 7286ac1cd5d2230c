"""The command line: exit codes, what goes to stdout, and where settings come from."""

import gzip
import json
import subprocess
import sys
import tomllib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tenor
from tenor.cli import main
from tenor.errors import TrainingError
from tenor.formats.locate import hash_model
from tenor.models.embedder import Embedder
from tiny import WIDTH, random_texts, tiny_model, write_csv

TEXTS = random_texts(12, words=(2, 9))
ISSUE_KEYS = {"metrics", "intervals", "n", "truncated", "seconds", "model", "data"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture
def scored(tmp_path):
    columns = {
        "sentence1": TEXTS,
        "sentence2": random_texts(12, seed=1, words=(2, 9)),
        "score": np.linspace(0, 5, 12).round(2),
    }
    return write_csv(tmp_path / "scored.csv", columns)


@pytest.fixture
def pairs(tmp_path):
    return write_csv(tmp_path / "pairs.csv", {"anchor": TEXTS, "positive": TEXTS[::-1]})


@pytest.fixture
def task(tmp_path):
    folder = tmp_path / "task"
    folder.mkdir()
    ids = [str(i) for i in range(12)]
    pq.write_table(pa.table({"id": ids, "text": TEXTS, "extra": ids}), folder / "corpus.parquet")
    queries = {"id": ["q1", "q2", "q3"], "text": [TEXTS[0], "unheard of", TEXTS[5]]}
    pq.write_table(pa.table(queries), folder / "queries.parquet")
    qrels = {"query_id": ["q1", "q3"], "doc_id": ["0", "5"], "score": [1, 1]}
    pq.write_table(pa.table(qrels), folder / "qrels.parquet")
    return str(folder)


@pytest.fixture
def run(capsys):
    """Run a command: its exit code, stdout and stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        found = capsys.readouterr()
        return stop.value.code, found.out, found.err

    return run


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, **options
    )


def test_the_public_names_are_these():
    assert sorted(tenor.__all__) == [
        "ClassifierConfig",
        "ContrastiveConfig",
        "CrossEncoder",
        "CrossEncoderConfig",
        "Embedder",
        "FewShotConfig",
        "SearchIndex",
        "Tagger",
        "TaggerConfig",
        "TenorClassifier",
        "TenorError",
        "TextClassifier",
        "__version__",
        "errors",
        "train_classifier",
        "train_contrastive",
        "train_cross_encoder",
        "train_few_shot",
        "train_tagger",
    ]
    assert all(getattr(tenor, name) is not None for name in tenor.__all__)
    assert dir(tenor) == sorted(tenor.__all__)
    with pytest.raises(AttributeError, match="embedder"):
        _ = tenor.embedder


@pytest.mark.parametrize("statement", ["import tenor", "import tenor.cli.commands"])
def test_importing_is_quick(statement):
    heavy = "{'torch', 'transformers', 'numpy', 'scipy', 'pyarrow', 'tokenizers', 'datasets'}"
    found = python("-c", f"import sys; {statement}; print(*({heavy} & set(sys.modules)))")
    assert (found.stdout, found.stderr) == ("\n", "")


def test_help_names_the_commands_and_imports_nothing_heavy(run):
    found = python("-X", "importtime", "-m", "tenor", "--help")
    assert found.returncode == 0
    for command in ("train", "evaluate", "encode", "demo"):
        assert command in found.stdout
    modules = {line.rsplit("|", 1)[-1].strip() for line in found.stderr.splitlines()}
    assert "tenor.cli" in modules
    assert not modules & {"torch", "transformers", "numpy", "scipy", "pyarrow"}
    code, out, _ = run("train", "contrastive", "--help")
    assert code == 0
    for flag in ("--train", "--validation", "--loss", "--learning-rate", "--resume", "--config"):
        assert flag in out


def test_version(run):
    assert run("--version")[:2] == (0, tenor.__version__ + "\n")


def test_sts_as_json_is_all_of_stdout(model, scored):
    """Through a real process: not even a library's C code may write there."""
    found = python("-m", "tenor", "evaluate", "sts", model, scored, "--json")
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("\n") == 1
    result = json.loads(found.stdout)
    assert result.keys() >= ISSUE_KEYS
    kinds, similarities = ("pearson", "spearman"), ("cosine", "dot", "manhattan", "euclidean")
    names = {f"{kind}_{name}" for kind in kinds for name in (*similarities, "max")}
    assert result["metrics"].keys() == result["intervals"].keys() == names
    for name, (low, high) in result["intervals"].items():
        assert -1 <= low < high <= 1, name
    assert (result["n"], result["truncated"]) == (12, 0)
    assert result["seconds"] > 0
    assert result["model"] == {"name": model, "sha256": hash_model(model)}
    assert result["data"]["path"] == scored
    assert len(result["data"]["sha256"]) == 64
    assert f"{WIDTH} dimensions" in found.stderr


def test_retrieval_as_json(model, task, run):
    code, out, _ = run("evaluate", "retrieval", model, task, "--json", "--dtype", "fp32")
    result = json.loads(out)
    assert code == 0
    assert result.keys() >= ISSUE_KEYS
    assert result["metrics"]["ndcg@10"] == 1.0
    assert {"mrr@10", "recall@100", "map@100"} <= result["metrics"].keys()
    assert result["n"] == 2  # the query without a relevant document is left out ...
    assert 1 in result["notes"].values()  # ... and counted
    assert result["model"]["sha256"] == hash_model(model)
    assert len(result["data"]["sha256"]) == 64


def test_figures_as_a_table(model, scored, task, run):
    for command, data, metric in (
        ("sts", scored, "spearman_cosine"),
        ("retrieval", task, "ndcg@10"),
    ):
        code, out, err = run("evaluate", command, model, data)
        assert code == 0
        assert metric in out
        assert "0 texts truncated" in out
        assert metric not in err


def read_vectors(path):
    table = pq.read_table(path)
    assert table.column_names == ["row", "embedding"]
    return table["row"].to_pylist(), np.array(table["embedding"].to_pylist(), dtype=np.float32)


def test_encode_writes_vectors_in_the_order_of_the_file(model, tmp_path, run):
    embedder = Embedder.load(model, device="cpu", dtype="fp32")
    texts = [*TEXTS, TEXTS[3], TEXTS[0]]
    expected = embedder.encode(texts)
    with gzip.open(tmp_path / "texts.txt.gz", "wt") as file:
        file.write("\n".join(texts))
    write_csv(tmp_path / "texts.csv", {"id": range(14), "title": texts})
    pq.write_table(pa.table({"text": texts}), tmp_path / "texts.parquet")
    for name, *flags in (
        ("texts.txt.gz",),
        ("texts.csv", "--column", "title"),
        ("texts.parquet", "--tokens-per-batch", "20"),
    ):
        out = tmp_path / "new folder" / "vectors.parquet"
        code, said, err = run(
            "encode", model, tmp_path / name, "--out", out, "--dtype", "fp32", *flags
        )
        assert (code, said) == (0, "")
        assert "14 texts, 0 truncated" in err
        rows, vectors = read_vectors(out)
        assert rows == list(range(14))
        np.testing.assert_allclose(vectors, expected, atol=1e-5)
        assert [path.name for path in out.parent.iterdir()] == ["vectors.parquet"]


def test_encode_takes_the_options_of_the_library(model, tmp_path, run):
    file, out = tmp_path / "texts.txt", tmp_path / "vectors.parquet"
    file.write_text("\n".join(TEXTS))
    embedder = Embedder.load(model, device="cpu", dtype="fp32")
    for flags, options in (
        (["--truncate-dim", "8"], {"truncate_dim": 8}),
        (["--prompt", "cat "], {"prompt": "cat "}),
        (["--no-normalize"], {"normalize": False}),
    ):
        assert run("encode", model, file, "--out", out, "--dtype", "fp32", *flags)[0] == 0
        expected = embedder.encode(TEXTS, **options)
        np.testing.assert_allclose(read_vectors(out)[1], expected, atol=1e-5)


def test_a_failed_encode_leaves_the_folder_as_it_was(model, tmp_path, run):
    file, out = tmp_path / "texts.jsonl", tmp_path / "vectors.parquet"
    out.write_text("of an earlier run")
    file.write_text('{"text": "the cat"}\n{"text": 3}\n')
    before = {path.name for path in tmp_path.iterdir()}
    code, said, err = run("encode", model, file, "--out", out)
    assert (code, said) == (2, "")
    assert "texts.jsonl:2, column 'text'" in err
    assert out.read_text() == "of an earlier run"
    assert {path.name for path in tmp_path.iterdir()} == before


def test_training_says_everything_on_stderr(model, pairs, tmp_path, run):
    out = tmp_path / "run"
    code, said, err = run(
        "train", "contrastive", "--train", pairs, "--out", out, "--model", model,
        "--batch-size", "4", "--validation", pairs, "--matryoshka", "8", "--matryoshka", "16",
    )  # fmt: skip
    assert (code, said) == (0, "")
    for expected in ("12 rows of kind pairs", "loss mnr", "3 steps", "before: ndcg@10", "saved"):
        assert expected in err
    assert json.loads((out / "result.json").read_text())["steps"] == 3
    assert tomllib.loads((out / "config.toml").read_text())["matryoshka"] == [8, 16]


def test_a_flag_goes_before_the_config_file_and_that_before_the_default(model, tmp_path, run):
    write_csv(tmp_path / "named.csv", {"title": TEXTS, "body": TEXTS[::-1]})
    (tmp_path / "settings.toml").write_text(
        f'train = "{tmp_path / "named.csv"}"\nmodel = "{model}"\nbatch_size = 4\nseed = 3\n'
        'matryoshka = [8]\n[columns]\nanchor = "title"\npositive = "body"\n'
    )
    out = tmp_path / "run"
    config = ["--config", tmp_path / "settings.toml"]
    code, _, err = run("train", "contrastive", *config, "--out", out, "--seed", "9")
    assert code == 0, err
    stored = tomllib.loads((out / "config.toml").read_text())
    assert (stored["batch_size"], stored["seed"], stored["log_every"]) == (4, 9, 10)
    assert stored["columns"] == {"anchor": "title", "positive": "body"}

    # A run goes on with its own settings; only those that are the same may be said again.
    resume = ["train", "contrastive", "--out", out, "--resume"]
    code, _, err = run(*resume)
    assert code == 0
    assert "done already" in err
    code, _, err = run(*resume, "--seed", "9")
    assert code == 0
    code, _, err = run(*resume, "--seed", "8")
    assert code == 2
    assert "seed = 8" in err
    code, _, err = run("train", "contrastive", *config, "--out", out)
    assert code == 2
    assert "already holds a run" in err


def test_wrong_use_ends_in_2(model, pairs, scored, tmp_path, run):
    out = ["--out", tmp_path / "run", "--model", model]
    train = ["train", "contrastive"]
    (tmp_path / "bad.toml").write_text("learning = 3\n")
    (tmp_path / "broken.toml").write_text("learning = \n")
    cases = {
        "--learning-rat": [*train, "--train", pairs, *out, "--learning-rat", "1"],
        "many": [*train, "--train", pairs, *out, "--epochs", "many"],
        "epochs = 0": [*train, "--train", pairs, *out, "--epochs", "0"],
        "loss = 'mrn'": [*train, "--train", pairs, *out, "--loss", "mrn"],
        "--train": [*train, *out],
        "no such file": [*train, "--train", tmp_path / "no.csv", *out],
        "scored pairs are needed": ["evaluate", "sts", model, pairs],
        "learning": [*train, *out, "--train", pairs, "--config", tmp_path / "bad.toml"],
        "config = ": [*train, *out, "--config", tmp_path / "no.toml"],
        "broken.toml": [*train, *out, "--train", pairs, "--config", tmp_path / "broken.toml"],
        "no folder": ["evaluate", "sts", tmp_path / "no model", scored],
        "no.csv": ["evaluate", "sts", model, tmp_path / "no.csv"],
        "fp8": ["evaluate", "sts", model, scored, "--dtype", "fp8"],
        "corpus": ["evaluate", "retrieval", model, tmp_path],
        "'text'": ["encode", model, pairs, "--out", tmp_path / "vectors.parquet"],
        "truncate_dim = 0": [
            "encode", model, pairs, "--out", tmp_path / "v.parquet", "--column", "anchor",
            "--truncate-dim", "0",
        ],
        "no-such-command": ["no-such-command"],
        "run `tenor demo` first": ["demo", "--ask", "invert", "--out", tmp_path / "nowhere"],
    }  # fmt: skip
    for said, arguments in cases.items():
        code, stdout, err = run(*arguments)
        assert (code, stdout) == (2, ""), (said, err)
        assert said in " ".join(err.split()), (said, err)
        assert "Traceback" not in err
    assert not list(tmp_path.glob("**/*.parquet"))


def test_failure_ends_in_1(model, pairs, run, monkeypatch):
    from tenor.recipes import contrastive

    arguments = ["train", "contrastive", "--train", pairs, "--out", "x", "--model", model]
    for error, said in ((TrainingError("it broke"), "it broke"), (KeyboardInterrupt(), "interru")):

        def fail(config, error=error):
            raise error

        monkeypatch.setattr(contrastive, "train_contrastive", fail)
        code, out, err = run(*arguments)
        assert (code, out) == (1, "")
        assert said in err


def test_a_reader_that_has_enough_gets_no_traceback(model, scored):
    command = f"{sys.executable} -m tenor evaluate sts {model} {scored} --json | true"
    found = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in found.stderr
    assert "BrokenPipe" not in found.stderr
