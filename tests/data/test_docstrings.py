"""The demo's corpus, read from packages written here into a temporary folder."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy
import pytest

from tenor.data.docstrings import (
    DescribedFunction,
    DocstringCorpus,
    DocstringCounts,
    read_docstrings,
    split,
)
from tenor.errors import ConfigError, DataError

LONG = "It takes {0} and hands back the same {0} in another order, every time it is called."


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, source in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source if isinstance(source, bytes) else source.encode())
    return root


def function(name: str, summary: str, rest: str | None = None, arguments: str = "x") -> str:
    rest = LONG.format(name) if rest is None else rest
    return f'def {name}({arguments}):\n    """{summary}\n\n    {rest}\n    """\n\n'


def names(corpus: DocstringCorpus) -> list[str]:
    return [item.name for item in corpus.items]


def test_summary_and_rest_are_plain_lines(tmp_path: Path) -> None:
    source = '''
class Store:
    """Keep values on disk. They outlive the process, e.g. A crash.

    Parameters
    ----------
    path : :class:`~pathlib.Path`
        where the ``values`` are to be kept from now on
    """

    def __init__(self, path, *, mode="r", **options): ...

    @classmethod
    def open_all(cls, paths: list[str], /, *more) -> None:
        """Open several stores
        at the same time.
        Args:
            paths: folders that are to be opened, one after the other, in order.
        """

    def _hidden(self):
        """Do what nobody asks for.

        None of these ten words should ever be found by anyone.
        """
'''
    corpus = read_docstrings([write(tmp_path, {"shelf/__init__.py": source})])
    store, method = corpus.items
    assert store == DescribedFunction(
        name="shelf.Store",
        signature="Store(path, mode, **options)",
        summary="Keep values on disk.",
        rest="They outlive the process, e.g. A crash. Parameters path : pathlib.Path where the "
        "values are to be kept from now on",
        module="shelf",
    )
    assert method.name == "shelf.Store.open_all"
    assert method.signature == "Store.open_all(paths, *more)"
    assert method.summary == "Open several stores at the same time."
    assert method.document().startswith("Store.open_all(paths, *more) Args: paths: folders")
    assert method.document(with_name=False).startswith("Args: paths: folders")


def test_a_private_module_is_public_where_a_package_imports_it(tmp_path: Path) -> None:
    files = {
        "algebra/__init__.py": "from .api import *\nfrom .linear import turn as rotate\n",
        "algebra/api.py": '"""Collected."""\nfrom algebra.linear import *\n',
        "algebra/linear/__init__.py": "try:\n    from ._impl import *\nexcept: pass\n",
        "algebra/linear/_impl.py": "__all__ = ['invert', 'turn']\n"
        + function("invert", "Invert a square matrix.")
        + function("turn", "Turn it by an angle.")
        + function("unlisted", "Left out of the star."),
        "algebra/linear/_unused.py": function("lost", "Nothing imports this one."),
        "other/__init__.py": "from algebra import invert\n",
    }
    assert names(read_docstrings([write(tmp_path, files)])) == ["algebra.invert", "algebra.rotate"]


def test_nothing_is_imported_and_bad_files_are_counted(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    files = {
        "danger/__init__.py": "import sys\nsys.danger_was_imported = True\n"
        + function("fine", "Sort a list of numbers.")
        + 'pattern = "\\d"\n',
        "danger/broken.py": '"""Broken."""\ndef (:\n',
        "danger/null.py": b'"""Null."""\n\0\n',
        "danger/encoding.py": b'# coding: no-such-encoding\n"""Text."""\n',
        "danger/latin.py": b'# coding: latin-1\ndef caf\xe9(x):\n    """Serve a caf\xe9 noir.\n\n'
        b'    Ten words are needed here so this sentence has them all.\n    """\n',
    }
    corpus = read_docstrings([write(tmp_path, files)])
    assert names(corpus) == ["danger.fine", "danger.latin.café"]
    assert corpus.items[1].summary == "Serve a café noir."
    assert corpus.counts.unreadable_files == 3
    assert corpus.counts.files == 2
    assert not hasattr(sys, "danger_was_imported")
    assert not recwarn.list


def test_tests_vendored_copies_and_named_packages_are_left_out(tmp_path: Path) -> None:
    text = function("sort", "Sort a list of numbers.")
    paths = ["kept/a.py", "kept/tests/a.py", "kept/_vendor/b/a.py", "kept/test_a.py", "gone/a.py"]
    root = write(tmp_path, dict.fromkeys([*paths, "pip/a.py", "kept-1.dist-info/a.py"], text))
    corpus = read_docstrings([root], exclude=["gone", "pip"])
    assert names(corpus) == ["kept.a.sort"]
    assert corpus.counts.functions == 1
    assert "pip.a.sort" not in names(read_docstrings([root]))


def test_what_a_search_cannot_tell_apart_is_dropped_and_counted(tmp_path: Path) -> None:
    module = (
        function("a", "Sort a list of numbers.")
        + function("b", "Sorts the list of numbers")
        + function("c", "Too short.")
        + function("d", "Hardly described at all.", "Only this.")
        + function("e", "Another summary of one.", LONG.format("a"))
        + function("read_all", "What read_all does is read.")
        + "".join(function(f"get{at}", "Return a copy of it.") for at in range(6))
    )
    family = {
        f"family/{name}/model.py": function("make", f"Make the {name} model.", LONG.format(name))
        for name in ("bert", "gpt")
    }
    corpus = read_docstrings([write(tmp_path, {"pack/__init__.py": module, **family})])
    assert names(corpus) == ["family.bert.model.make", "pack.a"]
    assert corpus.counts.packages == 2
    assert corpus.counts.dropped == {
        "same summary, rest or name as one before": 3,
        "summary shorter than 3 or longer than 40 words": 1,
        "fewer than 10 words after the summary": 1,
        "summary gives the name away": 1,
        "summary shared by more than 5 functions": 6,
    }
    assert sum(corpus.counts.dropped.values()) == corpus.counts.functions - corpus.counts.kept


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Name folders that hold packages"):
        read_docstrings([tmp_path])


@pytest.fixture
def corpus() -> DocstringCorpus:
    items = tuple(
        DescribedFunction(
            f"pack.part{folder:02}.module{at % 2}.f{at}",
            f"f{at}(x)",
            f"Summary {folder} of {at}.",
            f"Rest {folder} of {at}.",
            f"pack.part{folder:02}.module{at % 2}",
        )
        for folder in range(40)
        for at in range(10)
    )
    return DocstringCorpus(items, DocstringCounts(1, 80, 0, 400, 400, {}))


def test_split_keeps_folders_whole_and_depends_on_the_seed_alone(corpus: DocstringCorpus) -> None:
    parts = split(corpus, seed=3, test_share=0.3, validation_share=0.1)
    folders = [
        {item.module.rpartition(".")[0] for item in part}
        for part in (parts.train, parts.validation, parts.test)
    ]
    assert [len(folder) for folder in folders] == [24, 4, 12]
    assert not folders[0] & folders[2]
    assert not folders[1] & (folders[0] | folders[2])
    backwards = DocstringCorpus(corpus.items[::-1], corpus.counts)
    assert split(backwards, seed=3, test_share=0.3, validation_share=0.1) == parts
    assert split(corpus, seed=4, test_share=0.3, validation_share=0.1) != parts
    with pytest.raises(ConfigError, match="validation_share"):
        split(corpus, test_share=0.9, validation_share=0.1)
    with pytest.raises(DataError, match="nothing is left for validation and train"):
        split(DocstringCorpus(corpus.items[:10], corpus.counts))


def test_what_a_package_defines_itself_stays_with_its_modules(corpus: DocstringCorpus) -> None:
    own = [replace(item, module=item.module.rpartition(".")[0]) for item in corpus.items[::10]]
    own = [replace(item, name=f"{item.module}.own") for item in own]
    parts = split(DocstringCorpus((*corpus.items, *own), corpus.counts))
    for part in (parts.train, parts.validation, parts.test):
        assert {item.name for item in part if item.name.endswith(".own")} == {
            f"{item.module.rpartition('.')[0]}.own"
            for item in part
            if not item.name.endswith(".own")
        }


def test_retrieval_asks_the_held_out_part_only(corpus: DocstringCorpus) -> None:
    parts = split(corpus, test_share=0.3, validation_share=0.1)
    task = parts.retrieval(queries=50, documents=100, with_name=False)
    assert task.ids == [item.name for item in parts.test]
    assert task.notes == ()
    assert len(task.queries) == len(task.qrels) == 50
    by_name = {item.name: item for item in parts.test}
    for query, relevant in task.qrels.items():
        (name,) = relevant
        assert relevant == {name: 1}
        assert task.queries[query] == by_name[name].summary
        assert task.texts[task.ids.index(name)] == by_name[name].rest
        assert query not in task.ids


def test_too_few_documents_are_filled_up_and_said_so(corpus: DocstringCorpus) -> None:
    parts = split(corpus, test_share=0.3, validation_share=0.1)
    task = parts.retrieval(documents=200)
    assert len(set(task.ids)) == 200
    assert set(task.qrels) == {f"query/{item.name}" for item in parts.test}
    assert len(task.notes) == 2
    assert "40 of the 200 documents" in task.notes[0]
    assert "was trained on" in task.notes[1]
    assert "only 400 documents" in parts.retrieval(documents=500).notes[-1]
    in_test = {item.name for item in parts.test}
    assert not in_test & set(parts.retrieval("validation", documents=500).ids)


def test_installed_packages_are_found_under_the_names_people_import() -> None:
    site = Path(numpy.__file__).parents[1]
    others = {path.name.removesuffix(".py") for path in site.iterdir()} - {"numpy"}
    found = {item.name: item for item in read_docstrings([site], exclude=others).items}
    assert len(found) > 300
    inverse = found["numpy.linalg.inv"]
    assert inverse.signature == "inv(a)"
    assert inverse.summary == "Compute the inverse of a matrix."
    assert inverse.module == "numpy.linalg._linalg"
    assert not any("._" in name for name in found)
