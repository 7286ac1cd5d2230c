"""Vectors on a plane: by their two principal components, or by UMAP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tenor.errors import ConfigError, MissingExtraError
from tenor.evaluation.svg import Drawing, Scale, for_screens, text_width

__all__ = ["PROJECTIONS", "MapPoint", "map_chart", "on_a_plane", "projection_for"]

PROJECTIONS = {
    "pca": "principal component analysis: only what is far apart here is surely far apart",
    "umap": (
        "UMAP (McInnes, Healy & Melville 2018) on cosine distances: neighbours are true, distances "
        "between groups mean little"
    ),
}
FEWEST_FOR_UMAP = 5  # of fewer, neighbours mean nothing
COLOURS = 8
OTHERS = "others"
TITLE_LETTERS = 300


class MapPoint(NamedTuple):
    """A text on the map.

    Attributes:
        x: across.
        y: up.
        text: shown when pointed at.
        group: decides the colour.
    """

    x: float
    y: float
    text: str
    group: str


def projection_for(method: str, count: int) -> str:
    """The method that so many vectors can be drawn by: pca where they are too few for UMAP.

    Args:
        method: the one that is asked for.
        count: how many vectors there are.

    >>> projection_for("umap", 400), projection_for("umap", 4)
    ('umap', 'pca')
    """
    return "pca" if method == "umap" and count < FEWEST_FOR_UMAP else method


def on_a_plane(
    vectors_ND: npt.NDArray[np.floating], method: str = "pca", *, seed: int = 0
) -> npt.NDArray[np.float64]:
    """Two coordinates for each vector, near vectors near one another as far as that goes.

    Args:
        vectors_ND: shape (N, D); scaled to length 1 here.
        method: pca, or umap (extra umap), which `projection_for` gives.
        seed: of UMAP.

    Returns:
        Shape (N, 2).

    Raises:
        ConfigError: there is no such method, or too few vectors for it.
        MissingExtraError: the extra `umap` is not installed.
    """
    if method not in PROJECTIONS:
        raise ConfigError("map", method, " or ".join(PROJECTIONS))
    vectors = np.asarray(vectors_ND, dtype=np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    if method == "umap":
        return _by_umap(vectors, seed)
    if len(vectors) < 2:
        return np.zeros((len(vectors), 2))
    from sklearn.decomposition import PCA

    parts = min(2, *vectors.shape)
    found = PCA(parts, svd_solver="full").fit_transform(vectors)
    # An axis may point either way: the largest value is put on its right, so that a map stays.
    found *= np.sign(found[np.abs(found).argmax(axis=0), np.arange(parts)] + 1e-300)
    return np.pad(found, ((0, 0), (0, 2 - parts)))


def map_chart(panels: Mapping[str, Sequence[MapPoint]], links: Sequence[tuple[int, int]]) -> str:
    """Draw maps beside each other, on a phone below each other.

    Args:
        panels: points by the name of what is shown.
        links: pairs of points, by number, to draw a line between.

    Returns:
        SVG for wide and for narrow screens; "" where there is no point.
    """
    if not any(panels.values()):
        return ""
    counted = Counter(point.group for points in panels.values() for point in points)
    named = [group for group, _ in counted.most_common(COLOURS)]
    styles = {group: f"group-{number}" for number, group in enumerate(named)}

    def draw(width: float) -> Drawing:
        drawing = Drawing(width)
        _legend(drawing, named, others=len(counted) > len(named))
        across = len(panels) if width > 500 else 1
        gap = 20.0
        side = (width - (across - 1) * gap) / across
        high = min(side, 340.0)
        for number, (name, points) in enumerate(panels.items()):
            left = (number % across) * (side + gap)
            top = drawing.height + (number // across) * (high + 40)
            drawing.text(left, top + 12, name, "ink")
            _points(drawing, points, links, styles, (left, top + 22, side, high))
        drawing.height += -(-len(panels) // across) * (high + 40)
        return drawing

    return for_screens(draw)


def _points(
    drawing: Drawing,
    points: Sequence[MapPoint],
    links: Sequence[tuple[int, int]],
    styles: Mapping[str, str],
    place: tuple[float, float, float, float],
) -> None:
    left, top, width, height = place
    drawing.box(left, top, width, height, "panel")
    x = Scale(min(p.x for p in points), max(p.x for p in points), left + 8, left + width - 8)
    y = Scale(min(p.y for p in points), max(p.y for p in points), top + height - 8, top + 8)
    for one, other in links:
        start, end = points[one], points[other]
        drawing.line(x(start.x), y(start.y), x(end.x), y(end.y), "link")
    for point in points:
        text = " ".join(point.text.split())
        title = f"{point.group}: {text[:TITLE_LETTERS]}{'…' if len(text) > TITLE_LETTERS else ''}"
        style = styles.get(point.group, "before")
        drawing.point(x(point.x), y(point.y), 4, style, title=title)


def _legend(drawing: Drawing, named: Sequence[str], *, others: bool) -> None:
    left = 0.0
    for number, name in enumerate([*named, *([OTHERS] if others else [])]):
        style = f"group-{number}" if number < len(named) else "before"
        short = name if len(name) <= 24 else name[:23] + "…"
        wide = 14 + text_width(short) + 16
        if left and left + wide > drawing.width:
            left = 0.0
            drawing.height += 18
        drawing.point(left + 5, drawing.height + 8, 5, style)
        drawing.text(left + 14, drawing.height + 12, short, "ink")
        left += wide
    drawing.height += 24


def _by_umap(vectors: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.float64]:
    import warnings

    try:
        import umap
    except ImportError as error:
        raise MissingExtraError("umap", "A map by UMAP") from error
    if len(vectors) < FEWEST_FOR_UMAP:
        raise ConfigError("map", "umap", f"pca for fewer than {FEWEST_FOR_UMAP} vectors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed costs it its threads
        reducer = umap.UMAP(
            n_neighbors=min(15, len(vectors) - 1), metric="cosine", random_state=seed
        )
        found = reducer.fit_transform(vectors)
    return np.asarray(found, dtype=np.float64)
