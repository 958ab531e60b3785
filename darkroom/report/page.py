"""The summary as one HTML file: no script, nothing fetched, fit for mailing. Names are escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from darkroom.output import size
from darkroom.report.summary import EXAMPLES, Summary
from shared.outcome import Result

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
td.name { overflow-wrap: anywhere; }
svg text { font: 11px system-ui, sans-serif; fill: currentColor; }
"""


def report_page(summary: Summary, *, title: str, made: str) -> str:
    """A whole HTML document."""
    results = [(result.value, summary.by_result[result]) for result in Result if summary.by_result[result]]
    figures = [
        ("images", f"{summary.images:,}"),
        ("from", summary.first or "-"),
        ("to", summary.last or "-"),
        ("JPG bytes read", size(summary.bytes_in)),
        ("PNG bytes written", size(summary.bytes_out)),
        ("megapixels", f"{summary.pixels / 1e6:,.1f}"),
        ("half of the images took at most", _ms(summary.percentile(0.5))),
        ("95 of 100 took at most", _ms(summary.percentile(0.95))),
    ]
    rejected = "".join(
        f'<tr><td class="name">{escape(one.name)}</td><td>{escape(one.reason)}</td><td>{escape(one.detail)}</td></tr>'
        for one in summary.rejected
    )
    more = summary.by_result[Result.REJECTED] - len(summary.rejected)
    parts = [
        f"<h1>{escape(title)}</h1><p>Made {escape(made)}.</p>",
        _table("Figures", figures),
        _table("What became of the images", [(name, f"{count:,}") for name, count in results]),
        _table("Rejected, by reason", [(name, f"{count:,}") for name, count in summary.by_reason.most_common()]),
        _table("Oddities", [(name, f"{count:,}") for name, count in summary.by_note.most_common()]),
        _bars(sorted(summary.by_hour.items())),
    ]
    if rejected:
        parts.append(
            f"<h2>Rejected images</h2><table><tr><th>image</th><th>reason</th><th>detail</th></tr>{rejected}</table>"
        )
    if more > 0:
        parts.append(f"<p>The first {EXAMPLES} are shown; {more:,} more are in the CSV.</p>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _table(title: str, rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="n">{escape(value)}</td></tr>' for name, value in rows
    )
    return f"<h2>{escape(title)}</h2><table>{cells}</table>" if cells else ""


def _bars(hours: list[tuple[str, int]]) -> str:
    if not hours:
        return ""
    shown = hours[-72:]
    top = max(count for _, count in shown)
    step = 840 / len(shown)
    bars = "".join(
        f'<rect x="{number * step:.1f}" y="{150 - 140 * count / top:.1f}" width="{max(1.0, step - 2):.1f}" '
        f'height="{140 * count / top:.1f}" fill="#8f1d1d"><title>{escape(hour)}h: {count:,}</title></rect>'
        for number, (hour, count) in enumerate(shown)
    )
    return (
        '<h2>PNGs an hour</h2><svg viewBox="0 0 840 170" width="100%" role="img" '
        f'aria-label="PNGs an hour, at most {top:,}">'
        f'{bars}<text x="0" y="166">{escape(shown[0][0])}h</text>'
        f'<text x="840" y="166" text-anchor="end">{escape(shown[-1][0])}h</text></svg>'
    )


def _ms(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "-"
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:g} s"
