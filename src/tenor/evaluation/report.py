"""A report as one HTML file: opens offline, on a phone, in the dark and on paper.

It loads nothing, and its content security policy holds the browser to that. It holds no script
but, where there is a map of embeddings, the few lines of `templates/touch.js`, which that policy
names by their hash.
What it is made of stands in `report_sections.py` and `run_sections.py`.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tenor.errors import MissingExtraError
from tenor.evaluation.report_sections import Repeat, Section
from tenor.formats.atomic import write_text

__all__ = ["Report", "render_report", "write_report"]

_SHOWN_CHARACTERS = 240


@dataclass(frozen=True, kw_only=True)
class Report:
    """A page: its sections in their order, and last how to repeat what it tells.

    Args:
        title: heading of the page.
        subtitle: the outcome in a sentence.
        sections: any dataclasses with a title and a template.
        repeat: shown at the end.
    """

    title: str
    subtitle: str
    sections: Sequence[Section]
    repeat: Repeat


def render_report(report: Report) -> str:
    """Return the report as the text of one HTML file; all texts in it are escaped.

    Raises:
        MissingExtraError: the extra `report` is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("report", "An HTML report") from error
    environment = Environment(
        loader=PackageLoader("tenor.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _number,
        "signed": _signed,
        "short": _short,
        "rank": _rank,
        "breakable": _breakable,
    }
    script = ""
    if any(getattr(section, "touchable", False) for section in report.sections):
        script = environment.get_template("touch.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return environment.get_template("report.html").render(
        report=report,
        sections=[*report.sections, report.repeat],
        script=script,
        script_hash=f"sha256-{digest}",
    )


def write_report(path: str | Path, report: Report) -> Path:
    """Write the report as one HTML file, whole or not at all.

    Args:
        path: the file; its folder is made if need be.
        report: what to write.

    Raises:
        MissingExtraError: the extra `report` is not installed.
    """
    path = Path(path)
    write_text(path, render_report(report))
    return path


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"


def _signed(value: float, digits: int = 3) -> str:
    return f"{value:+.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"


def _short(text: str, characters: int = _SHOWN_CHARACTERS) -> str:
    """The beginning of a text, up to the end of a word where there is one near."""
    text = " ".join(text.split())
    if len(text) <= characters:
        return text
    beginning = text[: characters + 1].rpartition(" ")[0]
    return (beginning if len(beginning) > characters // 2 else text[:characters]) + " …"


def _breakable(name: str) -> str:
    """A dotted name as HTML that a narrow screen may break behind its dots and underscores."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([._])(?=\w)", r"\1<wbr>", str(escape(name))))


def _rank(rank: int, depth: int) -> str:
    return f"{rank}" if rank else f"beyond {depth}"
