"""What is said of the files that were given: what of them is not used, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tenor.data.row_findings import describe_bad_rows
from tenor.recipes.plan_sources import Inputs, Source

__all__ = ["given_notes"]


def given_notes(inputs: Inputs, source: Source, others: Iterable[Source | None]) -> list[str]:
    """A sentence for whatever of the files is not taken as it is.

    Args:
        inputs: all that was read.
        source: what is trained on.
        others: what chooses and tests, and what is spoken of elsewhere.
    """
    used = [source, *(each for each in others if each is not None)]
    notes = [f"{each.path}: {each.message}" for each in inputs.findings]
    notes += [
        f"{each.path}: {describe_bad_rows(each.skipped, each.profile.rows)}"
        for each in used
        if each.skipped
    ]
    return notes + [_left_out(each, used) for each in inputs.sources if each not in used]


def _left_out(source: Source, used: Sequence[Source]) -> str:
    """Of a file that neither trains nor measures."""
    shape = source.shape.replace("_", " ")
    told = f"left out: {source.path} ({source.profile.rows:,} rows, {shape})"
    if source.shape in ("texts", "retrieval"):
        return told
    alike = next((each for each in used if _kind(each) == _kind(source)), None)
    if alike is not None:
        return f"{told}; put its rows into {alike.path} to use both"
    if source.split in ("validation", "test"):
        return told
    return f"{told}; name it instead of the folder to use it"


def _kind(source: Source) -> tuple[str, str]:
    return source.shape, source.split or "train"
