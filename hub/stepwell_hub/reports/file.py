"""A report as one HTML file: no script, no network, both themes; the drawings are inside."""

from datetime import UTC, datetime
from html import escape
from typing import Final

from stepwell_hub.reports.answers import Block, Report
from stepwell_hub.reports.palette import DARK, LIGHT, variables

POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)

_STYLE: Final = f"""
:root{{color-scheme:light dark;--bg:#fbfaf8;--bg2:#f4f2ee;--card:#fff;--line:#e4e0d8;--ink:#1c1a17;
--ink2:#4e4a43;--ink3:#6b665d;--accent:#0d5f63;--bad:#a3261f;{variables(LIGHT)}}}
@media (prefers-color-scheme:dark){{:root{{--bg:#14171a;--bg2:#191d21;--card:#1a1f23;--line:#2a3036;
--ink:#e9e6e0;--ink2:#bdb8ae;--ink3:#99948a;--accent:#6fc7c1;--bad:#ff8a80;{variables(DARK)}}}}}
@media print{{:root{{--bg:#fff}}}}
*{{box-sizing:border-box}}
body{{margin:0;background:var(--bg);color:var(--ink);font:15px/23px ui-sans-serif,system-ui,
"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums}}
main{{max-width:1040px;margin:0 auto;padding:24px 16px 64px;overflow-wrap:anywhere}}
h1,h2,h3,h4,h5,h6{{margin:20px 0 8px;line-height:1.3}}
.title{{font-size:26px;margin:0}}
.text{{max-width:76ch}}
a{{color:var(--accent)}}
code,pre,.mono{{font:12px/16px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}}
code,pre{{background:var(--bg2);border-radius:3px}}
code{{padding:1px 4px}}pre{{padding:8px 12px;border:1px solid var(--line);overflow-x:auto}}
pre code{{padding:0}}
blockquote{{margin:12px 0;padding-left:12px;border-left:2px solid var(--ink3);color:var(--ink2)}}
hr{{border:0;border-top:1px solid var(--line)}}
.scroll{{overflow-x:auto}}
table{{border-collapse:collapse}}
th,td{{padding:3px 10px;border:1px solid var(--line);text-align:left}}
.panel table{{font-size:13px}}
.panel td,.panel th{{white-space:nowrap;max-width:40ch;overflow:hidden;
text-overflow:ellipsis}}
.panel td.text{{min-width:16ch;max-width:60ch;white-space:pre-wrap;overflow-wrap:anywhere}}
.align-right,.number{{text-align:right}}.align-center{{text-align:center}}
.panel{{margin:16px 0}}.panel-title{{margin:0 0 6px;font-weight:600}}
.charts{{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:10px}}
figure{{margin:0;padding:8px;border:1px solid var(--line);border-radius:3px;background:var(--card);
min-width:0}}
figcaption,.fact,summary{{color:var(--ink3);font-size:12px;line-height:16px}}
.chart{{display:block;width:100%}}
.chart text{{fill:var(--ink3);font-size:11px}}
.chart .y{{text-anchor:end}}.chart .x{{text-anchor:middle}}
.grid{{stroke:var(--line)}}
.line{{fill:none;stroke:var(--c);stroke-width:1.5;stroke-linejoin:round;stroke-linecap:round}}
.band{{fill:var(--c);opacity:.15}}.heat{{max-width:720px}}.heat rect{{fill:var(--accent);
shape-rendering:crispEdges}}
.ridges{{max-width:720px}}.ridge-back{{fill:var(--card)}}
.ridge{{fill:var(--accent);stroke:var(--accent)}}
.dots{{fill:none;stroke:var(--c);stroke-width:5;stroke-linecap:round}}
.bar{{fill:var(--accent)}}.table-chart .chart{{max-width:720px}}
.matrix th,.matrix td{{padding:2px 6px}}.matrix.dense td{{padding:0;min-width:3px;height:3px;
border:0}}
.swatch{{display:inline-block;width:10px;height:10px;border-radius:2px;background:var(--c)}}
.legend{{display:flex;flex-wrap:wrap;gap:2px 14px;margin:6px 0;padding:0;list-style:none;
font-size:12px}}
.value{{display:inline-block;padding:8px 16px;border:1px solid var(--line);background:var(--card)}}
.value b{{display:block;font:24px/30px inherit;font-size:24px;line-height:30px;font-weight:400}}
.media{{display:flex;flex-wrap:wrap;gap:10px}}
.media img{{display:block;max-width:100%;min-width:96px;
image-rendering:auto}}.media img.tiny{{image-rendering:pixelated}}
td img{{display:block;max-width:160px;max-height:120px;min-width:24px}}
td img.tiny{{image-rendering:pixelated;min-width:48px}}td .box-label{{display:none}}
.boxed{{display:inline-block;vertical-align:top;position:relative;max-width:100%;overflow:hidden}}
.boxed .mask{{position:absolute;inset:0;width:100%;height:100%;max-width:none;max-height:none;
min-width:0;opacity:.5;image-rendering:pixelated}}
.boxes{{position:absolute;inset:0}}
.box{{position:absolute;border:2px solid;box-shadow:0 0 0 1px rgb(0 0 0/50%)}}
.box-label{{position:absolute;bottom:100%;left:-2px;max-width:min(320px,60vw);padding:0 4px;
overflow:hidden;font-size:11px;line-height:14px;text-overflow:ellipsis;white-space:nowrap;
print-color-adjust:exact}}
.high .box-label{{top:0;bottom:auto}}.right .box-label{{right:-2px;left:auto}}
.problem{{padding:8px 16px;border:1px solid var(--bad);border-radius:3px}}
.problem b{{color:var(--bad)}}
""".strip()


def moment_text(seconds: float) -> str:
    """Return a moment in UTC, for people."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def report_file(report: Report, parts: list[str], *, now: float, address: str) -> str:
    """Return the file.

    Args:
        parts: HTML of the blocks.
        now: when the panels were drawn.
        address: of the live report.
    """
    title = escape(report.title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<meta name="referrer" content="no-referrer">'
        f'<meta name="generator" content="stepwell"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><main>"
        f'<h1 class="title">{title}</h1>'
        f'<p class="fact">Project {escape(report.project)}, version {report.version}. '
        f"The panels show the runs as they were on {moment_text(now)}. "
        "Live, for readers who have access: "
        f'<a href="{escape(address)}" rel="noopener noreferrer">{escape(address)}</a></p>'
        f"{''.join(parts)}</main></body></html>\n"
    )


def problem_html(block: Block, message: str = "") -> str:
    """Return the text in place of a panel that is not drawn."""
    messages = [f"Line {each.line}: {each.message}" for each in block.problems]
    if message:
        messages.append(f"Line {block.line}: {message}")
    lines = "".join(f"<p>{escape(each)}</p>" for each in messages)
    source = f"<pre>{escape(block.source)}</pre>" if block.source else ""
    return f'<section class="panel problem"><b>This panel is not drawn</b>{lines}{source}</section>'


def panel_html(title: str, kind: str, inner: str) -> str:
    head = f'<p class="panel-title">{escape(title)}</p>' if title else ""
    return f'<section class="panel" data-panel="{escape(kind)}">{head}{inner}</section>'
