"""Pictures as SVG text: self-contained, readable in light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
svg { font: 11px system-ui, sans-serif; --ink: #1f2328; --soft: #d0d7de; --paper: #ffffff;
  --c0: #0969da; --c1: #bc4c00; --c2: #1a7f37; --c3: #8250df; background: var(--paper); }
@media (prefers-color-scheme: dark) { svg { --ink: #e6edf3; --soft: #3d444d; --paper: #0d1117;
  --c0: #58a6ff; --c1: #f0883e; --c2: #3fb950; --c3: #bc8cff; } }
text { fill: var(--ink); } .axis { stroke: var(--soft); } .title { font-weight: 600; font-size: 13px; }
.dot { fill: var(--soft); stroke: var(--ink); stroke-width: .6; } .ours { fill: var(--c0); stroke: none; }
.front { fill: none; stroke: var(--c0); stroke-dasharray: 3 3; } .line { fill: none; stroke-width: 1.4; }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A formula in the plane of cost (x) and wait (y)."""

    name: str
    x: float
    y: float
    ours: bool
    on_front: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A series: y over x; a step holds until the next."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture of several lines, with x in hours."""

    title: str
    lines: Sequence[Line]


def document(width: int, height: int, body: str, title: str) -> str:
    """A whole SVG document."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{escape(title)}"><style>{STYLE}</style>'
        f'<rect width="{width}" height="{height}" fill="var(--paper)"/>{body}</svg>\n'
    )


# --- the plane of cost and wait ---

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 560, 400, 56, 44, 54, 90


def plane(points: Sequence[Point], *, title: str, about: str) -> str:
    """Cost against wait, both times the bound, on logarithmic scales; the front is dashed."""
    shown = [point for point in points if math.isfinite(point.x + point.y) and min(point.x, point.y) > 0]
    x_high = _decade(max(point.x for point in shown))
    y_high = _decade(max(point.y for point in shown))

    def place(point: Point) -> tuple[float, float]:
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * max(0.0, math.log(point.x)) / math.log(x_high)
        y = _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * max(0.0, math.log(point.y)) / math.log(y_high)
        return x, y

    parts = [f'<text class="title" x="{_LEFT}" y="16">{escape(title)}</text>']
    parts += [f'<text x="{_LEFT}" y="31">{escape(about)}</text>', *_plane_axes(x_high, y_high)]
    front = sorted(place(point) for point in shown if point.on_front)
    parts.append(f'<polyline class="front" points="{_coordinates(front)}"/>')
    for point in sorted(shown, key=lambda p: p.ours):
        x, y = place(point)
        kind, radius = ("ours", 6) if point.ours else ("dot", 3.5)
        tip = f"<title>{escape(point.name)}: cost {point.x:.2f}, wait {point.y:.2f}</title>"
        parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">{tip}</circle>')
    named = sorted((point for point in shown if point.ours or point.on_front), key=lambda p: not p.ours)
    parts += _labels([(point.name, *place(point)) for point in named])
    return document(_WIDTH, _HEIGHT, "".join(parts), f"{title}: {about}")


def _labels(points: Sequence[tuple[str, float, float]]) -> list[str]:
    """A name beside each point where it has room; where it has none, the point's tooltip must do."""
    taken: list[tuple[float, float, float]] = []
    parts = []
    for name, x, y in points:
        width = 6.2 * len(name)
        for left, base in ((x + 9, y - 5), (x + 9, y + 12), (x - 9 - width, y + 12), (x - 9 - width, y - 5)):
            free = all(abs(base - other) > 12 or left + width < low or left > high for low, high, other in taken)
            if free and _LEFT < left < _WIDTH - width:
                taken.append((left, left + width, base))
                parts.append(f'<text x="{left:.1f}" y="{base:.1f}">{escape(name)}</text>')
                break
    return parts


def _decade(high: float) -> float:
    return max(2.0, high * 1.3)


def _plane_axes(x_high: float, y_high: float) -> list[str]:
    floor, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = [
        f'<line class="axis" x1="{_LEFT}" y1="{floor}" x2="{right}" y2="{floor}"/>',
        f'<line class="axis" x1="{_LEFT}" y1="{_TOP}" x2="{_LEFT}" y2="{floor}"/>',
        f'<text x="{right}" y="{_HEIGHT - 8}" text-anchor="end">cost, times the bound →</text>',
        f'<text x="{_LEFT}" y="{_TOP - 4}">↑ p95 wait, times the bound</text>',
    ]
    for tick in _ticks(x_high):
        x = _LEFT + (right - _LEFT) * math.log(tick) / math.log(x_high)
        parts.append(f'<text x="{x:.1f}" y="{floor + 15}" text-anchor="middle">{tick:g}</text>')
    for tick in _ticks(y_high):
        y = floor - (floor - _TOP) * math.log(tick) / math.log(y_high)
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    return parts


def _ticks(high: float) -> list[float]:
    steps = [base * 10**power for power in range(5) for base in (1, 2, 5)]
    shown = [float(step) for step in steps if step <= high]
    return shown if len(shown) <= 8 else [tick for tick in shown if str(int(tick))[0] == "1"]


# --- series over time ---

_PANEL, _PANEL_WIDTH = 130, 720


def panels(rows: Sequence[Panel], *, title: str) -> str:
    """Panels under each other with one time axis."""
    height = 40 + _PANEL * len(rows) + 20
    parts = [f'<text class="title" x="50" y="18">{escape(title)}</text>']
    for index, line in enumerate(rows[0].lines):
        x = 300 + 140 * index
        parts.append(f'<line class="line" x1="{x}" y1="14" x2="{x + 16}" y2="14" stroke="var(--c{index})"/>')
        parts.append(f'<text x="{x + 20}" y="18">{escape(line.name)}</text>')
    end = max((line.points[-1][0] for row in rows for line in row.lines if line.points), default=1.0)
    for index, row in enumerate(rows):
        parts.append(_panel(row, top=34 + index * _PANEL, end=end))
    for tick in range(9):
        hour = end * tick / 8
        place = 50 + (_PANEL_WIDTH - 60) * tick / 8
        anchor = "end" if tick == 8 else "middle"
        parts.append(f'<text x="{place:.0f}" y="{height - 6}" text-anchor="{anchor}">{hour:.0f} h</text>')
    return document(_PANEL_WIDTH, height, "".join(parts), title)


def _panel(panel: Panel, *, top: float, end: float) -> str:
    high = max((y for line in panel.lines for _, y in line.points), default=0.0) or 1.0
    floor, ceiling = top + _PANEL - 14, top + 18
    parts = [
        f'<text x="50" y="{top + 12:.0f}">{escape(panel.title)}</text>',
        f'<line class="axis" x1="50" y1="{floor:.0f}" x2="{_PANEL_WIDTH - 10}" y2="{floor:.0f}"/>',
        f'<text x="44" y="{ceiling + 6:.0f}" text-anchor="end">{high:.3g}</text>',
        f'<text x="44" y="{floor:.0f}" text-anchor="end">0</text>',
    ]
    for index, line in enumerate(panel.lines):
        places = [(50 + (_PANEL_WIDTH - 60) * x / end, floor - (floor - ceiling) * y / high) for x, y in line.points]
        parts.append(f'<polyline class="line" stroke="var(--c{index})" points="{_coordinates(places)}"/>')
    return "".join(parts)


def _coordinates(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
