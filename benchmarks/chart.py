"""A chart of a contest: speed to the right, bytes upwards; below and to the right is better."""

from __future__ import annotations

from html import escape

from benchmarks.contest import BASE, Score

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 720, 360, 60, 50, 20, 30


def chart(scores: dict[str, Score], megapixels: float) -> str:
    """An SVG."""
    points = [(name, megapixels / score.total(), score.size() / scores[BASE].size()) for name, score in scores.items()]
    fastest = max(speed for _, speed, _ in points) * 1.15
    low, high = min(size for *_, size in points) - 0.1, max(size for *_, size in points) + 0.1

    def x(speed: float) -> float:
        return _LEFT + speed / fastest * (_WIDTH - _LEFT - _RIGHT)

    def y(size: float) -> float:
        return _TOP + (high - size) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
        '<g font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]
    for step in range(0, int(fastest) + 1, 10):
        lines.append(
            f'<line x1="{x(step):.0f}" y1="{_TOP}" x2="{x(step):.0f}" y2="{_HEIGHT - _BOTTOM}" stroke="#eee"/>'
        )
        lines.append(f'<text x="{x(step):.0f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{step}</text>')
    for tenth in range(int(low * 10) + 1, int(high * 10) + 1, 2):
        at = y(tenth / 10)
        lines.append(f'<line x1="{_LEFT}" y1="{at:.0f}" x2="{_WIDTH - _RIGHT}" y2="{at:.0f}" stroke="#eee"/>')
        lines.append(f'<text x="{_LEFT - 8}" y="{at + 4:.0f}" text-anchor="end">{tenth / 10:.1f}</text>')
    for name, speed, size in points:
        colour = "#c2410c" if name.startswith("Darkroom") else "#475569"
        lines.append(f'<circle cx="{x(speed):.1f}" cy="{y(size):.1f}" r="6" fill="{colour}"/>')
        anchor, shift = ("end", -10) if speed > fastest * 0.7 else ("start", 10)
        lines.append(
            f'<text x="{x(speed) + shift:.1f}" y="{y(size) + 4:.1f}" fill="{colour}" text-anchor="{anchor}">'
            f"{escape(name)}</text>"
        )
    lines.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 12}" text-anchor="middle">megapixels a second, one core</text>')
    lines.append(
        f'<text x="16" y="{_HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 16 {_HEIGHT / 2})">'
        "bytes, of Pillow's default</text>"
    )
    return "\n".join([*lines, "</g>", "</svg>", ""])
