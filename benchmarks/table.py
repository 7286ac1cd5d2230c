"""The README's benchmark table, written from results/*.json: `python -m benchmarks.table`.

With `--check` nothing is written; the exit code is 1 where the README is out of date.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks._sides import RESULTS

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
BLOCK = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
RATES = {
    "texts_per_second": "texts/s",
    "rows_per_second": "rows/s",
    "blocks_per_second": "blocks/s",
}
# How the names of results with sides begin.
KNOWN = ("encode_", "train_", "score_", "few_shot_", "freeze_sweep", "tsdae_", "mlm_", "mteb_")
QUALITIES = {
    "stsb_test_spearman": "STS-B test Spearman",
    "f1": "F1",
    "accuracy": "accuracy",
    "perplexity": "perplexity",
}
VERSIONS = ("python", "tenor", "torch", "transformers", "sentence-transformers")
HEAD = ("workload", "side", "rate", "Tenor is faster", "peak memory", "quality")
NOTHING = "Nothing has been measured yet: run `scripts/bench`."


@dataclass
class Row:
    """What was measured of one side in one workload; empty where it was not."""

    rate: str = ""
    ratio: str = ""
    peak: str = ""
    quality: str = ""


@dataclass
class Table:
    """Rows by workload and side, what they were measured with, shares of products, and plans."""

    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    settings: dict[str, list[str]] = field(default_factory=dict)
    shares: dict[str, list[str]] = field(default_factory=dict)
    plans: list[str] = field(default_factory=list)


def collect(folder: Path) -> Table:
    """Read every result in `folder` that has a form known here; others are passed over."""
    table = Table()
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, dict) and _is_known(path.stem, document):
            _add(table, path.stem, document)
        elif path.stem == "plan" and document["rows"] == "all":  # with fewer it was a try
            table.plans = [_plan(each) for each in document["data"]]
            table.settings.setdefault(_setting(document), []).append(path.stem)
    return table


def render(table: Table) -> str:
    """The block that stands between the README's marks, marks included."""
    lines = [NOTHING]
    if table.rows:
        lines = [_line(HEAD), _line(["---"] * len(HEAD))]
        shown = ""
        for (workload, side), row in sorted(table.rows.items(), key=lambda item: item[0][0]):
            name = workload if workload != shown else ""
            shown = workload
            lines.append(_line([name, side, row.rate, row.ratio, row.peak, row.quality]))
        lines += ["", "Faster by the median of the turns [least, most]."]
        for workload, shares in table.shares.items():
            lines.append(
                f"Share of the machine's bf16 matrix-product rate in {workload}: "
                + ", ".join(shares) + "."
            )  # fmt: skip
        if table.plans:
            lines += ["", f"What `tenor plan` said, and what it took: {'; '.join(table.plans)}."]
        for setting, names in table.settings.items():
            lines += ["", f"{setting}: {', '.join(names)}."]
    return "\n".join([BEGIN, *lines, END])


def updated(text: str, block: str) -> str:
    """The README's text with `block` in the place of the old one."""
    if len(BLOCK.findall(text)) != 1:
        sys.exit(f"the README must hold {BEGIN} … {END} exactly once.")
    return BLOCK.sub(lambda _: block, text)


def main(
    arguments: list[str] | None = None, *, readme: Path = README, results: Path = RESULTS
) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if out of date")
    given = parser.parse_args(arguments)
    before = readme.read_text(encoding="utf-8")
    after = updated(before, render(collect(results)))
    if before == after:
        return
    if given.check:
        sys.exit("the README's benchmark table is out of date: run python -m benchmarks.table")
    readme.write_text(after, encoding="utf-8")


def _is_known(name: str, document: Mapping[str, Any]) -> bool:
    sides = document.get("sides")
    if not name.startswith(KNOWN) or not isinstance(sides, list) or not sides:
        return False
    if all(isinstance(one, dict) and one.get("side") != "tenor" for one in sides):
        return False  # a peer tried further by itself
    figures = {*RATES, "mean", "seconds"}
    return all(isinstance(one, dict) and "side" in one and figures & one.keys() for one in sides)


def _add(table: Table, name: str, document: Mapping[str, Any]) -> None:
    workload = re.sub(r"_(speed|quality)$", "", name)
    start = next(known for known in KNOWN if name.startswith(known))
    workload = workload.replace(start, start.replace("_", " "), 1)
    for one in document["sides"]:
        row = table.rows.setdefault((workload, one["side"]), Row())
        for key, unit in RATES.items():
            if key in one:
                row.rate = f"{one[key]:,.0f} {unit}"
        if "seconds" in one and not name.startswith("train_") and not RATES.keys() & one.keys():
            row.rate = f"{statistics.median(one['seconds']):,.0f} s"
        if one.get("tenor_is_faster"):
            row.ratio = _ratio(one["tenor_is_faster"])
        elif one.get("faster"):  # two sides are ours, so each says how much
            row.ratio = f"{_ratio(one['faster'])} than {document['sides'][-1]['side']}"
        # The speed run's peak counts where there is one: it is the same work on every side.
        if one.get("peak_mib") and (not row.peak or not name.endswith("_quality")):
            row.peak = f"{one['peak_mib']:,.0f} MiB"
        row.quality = _quality(one) or row.quality
        if one.get("share_of_bf16_products"):
            share = f"{one['side']} {one['share_of_bf16_products']:.0%}"
            table.shares.setdefault(workload, []).append(share)
    table.settings.setdefault(_setting(document), []).append(name)


def _ratio(ratio: Mapping[str, float]) -> str:
    return f"{ratio['median']:.2f}× [{ratio['min']:.2f}, {ratio['max']:.2f}]"


def _quality(one: Mapping[str, Any]) -> str:
    """A side's figure; its mean and deviation where there are several."""
    if "score" in one:
        return f"{one['score']:.4f} {one['metric']}"
    for key, metric in QUALITIES.items():
        if key not in one:
            continue
        if not isinstance(one[key], list):
            return f"{one[key]:.4f} {metric}"
        if "mean" in one:  # else turns of a speed run, on a part of the rows
            seeds = len(one[key])
            spread = f" ± {one['deviation']:.4f}, {seeds} seeds" if seeds > 1 else ", 1 seed"
            return f"{one['mean']:.4f} {metric}{spread}"
    return ""


def _plan(one: Mapping[str, Any]) -> str:
    return (
        f"{one['data']}, {one['recipe']}, {one['steps']} steps: {one['estimated_seconds']:,.0f} s "
        f"and {one['real_seconds']:,.0f} s ({one['real_to_estimated']:.2f}×), "
        f"{one['estimated_gib']:.1f} and {one['real_gib']:.1f} GiB"
    )


def _setting(document: Mapping[str, Any]) -> str:
    machine, versions = document.get("machine", {}), document.get("versions", {})
    parts = [machine.get("processor", "an unknown processor")]
    if "cores" in machine:
        parts.append(f"{machine['cores']} cores")
        if machine.get("threads", machine["cores"]) < machine["cores"]:
            parts.append("one used" if machine["threads"] == 1 else f"{machine['threads']} used")
    if machine.get("gpu"):
        parts.append(machine["gpu"])
    parts += [f"{name} {versions[name]}" for name in VERSIONS if name in versions]
    return f"On {', '.join(parts)}, at commit {document.get('commit') or 'unknown'}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
