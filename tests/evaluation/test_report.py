"""The HTML report: what it says, that it loads nothing, and that a browser opens it."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tenor.errors import MissingExtraError
from tenor.evaluation.intervals import PairedDifference
from tenor.evaluation.report import Report, render_report, write_report
from tenor.evaluation.report_sections import (
    BarIntervals,
    Changes,
    Comparison,
    Estimate,
    Figures,
    Hit,
    LossCurve,
    RankChange,
    Repeat,
    SearchExample,
    SearchExamples,
    Text,
    Warnings,
)

pytest.importorskip("jinja2", reason="needs the extra `report`")

EVIL = "<script>console.error('no')</script> & <img src=http://evil.example/x.png>"


def comparison(metric: str, before: float, after: float, width: float = 0.02) -> Comparison:
    gain = after - before
    return Comparison(
        metric=metric,
        before=Estimate(before, before - width, before + width),
        after=Estimate(after, after - width, after + width),
        difference=PairedDifference(gain, gain - width / 2, gain + width / 2, 0.01),
    )


def hits(*names: str) -> list[Hit]:
    text = "Returns the matrix that, multiplied with the given one, is the identity. Parameters a: "
    text += "array_like, shape (..., M, M) Matrix to be inverted. Raises LinAlgError if it is not."
    return [Hit(name=name, text=text, score=0.71 - 0.03 * rank) for rank, name in enumerate(names)]


def sample_report() -> Report:
    comparisons = [
        comparison("ndcg@10", 0.644, 0.709),
        comparison("mrr@10", 0.601, 0.669),
        comparison("recall@100", 0.912, 0.915),
        comparison("map@100", 0.605, 0.588),
    ]
    rows = [
        RankChange(
            query="Solve a linear system whose matrix is banded.",
            name="scipy.linalg.solve_banded",
            text="solve_banded(l_and_u, ab, b) Solve the equation for x. " * 9,
            before=17,
            after=1,
        ),
        RankChange(query=EVIL, name=EVIL, text=EVIL, before=0, after=3),
    ]
    worse = RankChange(
        query="Lay the nodes of a graph out on a circle.",
        name="networkx.circular_layout",
        text="Position nodes on a circle. Parameters G: NetworkX graph or list of nodes.",
        before=1,
        after=6,
    )
    return Report(
        title="Tenor demo: from a description to the right function",
        subtitle="nDCG@10 rose from 0.644 to 0.709 (+0.065, 95 % interval +0.055 to +0.075) on "
        "5,577 held-out functions.",
        sections=[
            Text("What was done", ["Fine-tuned on the docstrings of this environment.", EVIL]),
            Figures(comparisons=comparisons, note="5,577 queries against 5,577 documents."),
            BarIntervals(comparisons=comparisons),
            LossCurve(
                loss=[(step, 2.0 / (1 + step / 20) + 0.1 * (step % 3)) for step in range(1, 251)],
                validation=[(50, 0.66), (100, 0.684), (150, 0.691), (200, 0.70), (250, 0.702)],
                validation_metric="ndcg@10",
            ),
            Changes(
                improved=rows,
                worsened=[worse],
                counts={"improved": 1834, "unchanged": 2890, "worse": 853},
                note="Drawn from those whose rank changed most.",
            ),
            SearchExamples(
                examples=[
                    SearchExample(
                        query="invert a matrix",
                        before=hits("sympy.Matrix.inverse_BLOCK", "torch.inverse", "numpy.flip"),
                        after=hits("numpy.linalg.inv", "scipy.linalg.pinv", "torch.linalg.inv"),
                    )
                ]
            ),
            Warnings("What to know of the data", ["312 of 12,000 texts were truncated.", EVIL]),
        ],
        repeat=Repeat(
            command="tenor demo --seed 0",
            config={"learning_rate": 2e-5, "batch_size": 64, "model": "all-MiniLM-L6-v2"},
            versions={"python": "3.11.7", "torch": "2.13.0+cpu", "transformers": "5.23.0"},
            hashes={"model": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"},
            seeds={"data": 0, "training": 0},
            machine={"processor": "Intel Xeon", "cores": 2, "precision": "bf16"},
        ),
    )


class Page(HTMLParser):
    """Tags, attributes and visible text of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.within_a_name = False
        self.feed(source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.within_a_name = tag == "wbr"
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.within_a_name:
            self.words[-1] += data
        else:
            self.words.append(data)
        self.within_a_name = False


@pytest.fixture(scope="module")
def source() -> str:
    return render_report(sample_report())


def test_everything_can_be_read_without_charts(source: str) -> None:
    text = Page(re.sub(r"<svg.*?</svg>", "", source, flags=re.DOTALL)).text
    assert "0.644 0.624 to 0.664" in text
    assert "+0.065 +0.055 to +0.075 better: the interval excludes zero" in text
    assert "+0.003 −0.007 to +0.013 unclear: the interval includes zero" in text
    assert "−0.017 −0.027 to −0.007 worse: the interval excludes zero" in text
    assert "rank 17 → became 1" in text
    assert "rank beyond 100 → became 3" in text
    assert "1,834 improved" in text
    assert "numpy.linalg.inv 0.71" in text
    assert "The loss was 2.005 at step 1 and 0.248 at step 250." in text
    assert "tenor demo --seed 0" in text
    assert "learning_rate 2e-05" in text


def test_long_texts_end_with_a_word_and_long_names_break_at_their_dots(source: str) -> None:
    card = "solve_banded(l_and_u, ab, b) Solve the equation for x. " * 2
    assert f"{card}solve_banded(l_and_u, ab, b) Solve the equation … " in Page(source).text
    assert "scipy.<wbr>linalg.<wbr>solve_<wbr>banded" in source


def test_a_single_point_is_no_curve_and_a_level_one_is_labelled_as_it_is() -> None:
    assert LossCurve(loss=[(5, 0.2)], validation=[(24, 0.86)]).chart() == ""
    drawing = LossCurve(loss=[(5, 0.25), (10, 0.25)], validation=[(24, 0.86)]).chart()
    assert "Validation" not in drawing
    assert ">0.25<" in drawing


def test_a_lower_loss_is_better() -> None:
    down = comparison("seconds", 9.0, 4.0)
    assert down.verdict == "worse"
    fields = {name: getattr(down, name) for name in ("metric", "before", "after", "difference")}
    assert Comparison(**fields, higher_is_better=False).verdict == "better"


def test_texts_are_escaped_and_nothing_is_loaded(source: str) -> None:
    page = Page(source)
    assert page.text.count("<script>console.error('no')</script>") >= 5
    assert not page.tags & {"script", "img", "iframe", "object", "embed", "base", "form"}
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("href", "src", "xlink:href", "srcset", "data"):
            assert value.startswith(("#", "data:")), (tag, name, value)
        if name not in ("aria-label", "content"):
            assert "://" not in value, (tag, name, value)
    (style,) = re.findall(r"<style>(.*?)</style>", source, flags=re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in (
        page.attributes
    )


def test_names_of_metrics_are_escaped_in_charts() -> None:
    bars = BarIntervals(comparisons=[comparison("<script>bad</script>", 0.2, 0.4)])
    drawing = bars.chart()
    assert "<script" not in drawing
    assert "&lt;script&gt;" in drawing
    assert "0.400" in drawing
    assert "http" not in drawing


def test_missing_and_infinite_values_leave_a_readable_page() -> None:
    nan = float("nan")
    bare = Comparison(metric="mrr", before=Estimate(nan, nan, nan), after=Estimate(0.5, 0.4, 0.6))
    report = Report(
        title="Bare",
        subtitle="",
        sections=[
            Figures(comparisons=[bare]),
            BarIntervals(comparisons=[bare]),
            LossCurve(loss=[], validation=[]),
            LossCurve(loss=[(1, 2.0), (2, float("inf"))]),
            Changes(improved=[], worsened=[]),
            Warnings("Data", []),
        ],
        repeat=Repeat(command="tenor demo"),
    )
    text = Page(render_report(report)).text
    for words in (
        "– – to –",
        "not compared item by item",
        "There is no figure to draw.",
        "No loss was logged.",
        "No query.",
        "Nothing was noticed.",
    ):
        assert words in text


def test_the_file_is_whole_and_in_a_new_folder(tmp_path: Path) -> None:
    path = write_report(tmp_path / "run" / "report.html", sample_report())
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'tenor[report]'")):
        render_report(sample_report())


def open_in_chromium(path: Path, folder: Path) -> tuple[str, str, set[str]]:
    """Return the rendered page, what was logged, and the addresses that the page asked for."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium on this machine")
    folder.mkdir()
    options = [
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--disable-extensions",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={folder / 'net.json'}", "--enable-logging=stderr", "--window-size=390,844",
    ]  # fmt: skip
    done = subprocess.run(
        [browser, *options, "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    log = (folder / "net.json").read_text(errors="replace")
    addresses = set(re.findall(r'"url":"https?://([^"/]+)', log))
    # The browser itself looks for updates, in vain: no name is resolved.
    own = re.compile(r"(^|\.)(google|googleapis|gstatic)\.com$")
    return done.stdout, done.stderr, {address for address in addresses if not own.search(address)}


def test_chromium_opens_it_without_an_error_or_a_request(tmp_path: Path) -> None:
    page = write_report(tmp_path / "report.html", sample_report())
    rendered, log, addresses = open_in_chromium(page, tmp_path / "report")
    assert "better: the interval excludes zero" in rendered
    assert "CONSOLE" not in log
    assert not addresses

    noisy = tmp_path / "noisy.html"
    noisy.write_text(f"<body>{EVIL}<script>console.error('seen')</script>")
    _, log, addresses = open_in_chromium(noisy, tmp_path / "noisy")
    assert "seen" in log
    assert addresses == {"evil.example"}
