"""The page report.html: every figure as a plot that can be read without the table.

One file without scripts or anything fetched: SVG drawn here, a style sheet for light and dark. For each row
a bar for each contender, from nought; the thin line across a bar's end spans its rounds; a dashed line
is the goal. The overview puts all rows on one scale, how many times better than the best peer.
"""

import html
import math

from bench.results import OURS, Better, Role

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --faint: #66707d; --line: #d9dee5; --paper: #fff;
  --ours: #0b6e8a; --peer: #a8b2be; --reference: #d5dae1; --goal: #b3541e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --faint: #98a3b0; --line: #333c47;
  --paper: #14181d; --ours: #3fb2d1; --peer: #66717e; --reference: #3d4650; --goal: #e08a54; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 960px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2.2em; border-bottom: 1px solid var(--line); }
h3 { font-size: 1em; margin: 1.6em 0 .1em; } p { margin: .2em 0; } .faint { color: var(--faint); }
svg { width: 100%; height: auto; } svg text { font: 13px system-ui, sans-serif; fill: var(--ink); }
svg .faint { fill: var(--faint); } .axis { stroke: var(--line); } .goal { stroke: var(--goal);
  stroke-dasharray: 4 3; } .goal-text { fill: var(--goal) !important; }
.ours { fill: var(--ours); } .peer { fill: var(--peer); } .reference { fill: var(--reference); }
.range { stroke: var(--ink); } .key span { display: inline-block; width: .9em; height: .9em;
  margin: 0 .35em 0 1.2em; vertical-align: -.1em; } td, th { padding: .1em .8em .1em 0; text-align: left; }
"""

WIDTH, LABEL, VALUE = 900, 190, 190   # of a plot; of the names at its left; of the figures right
BAR, GAP = 18, 8
PLOT = WIDTH - LABEL - VALUE


def esc(text):
    return html.escape(str(text))


def svg(height, title, parts):
    """A plot with a text for those who do not see it."""
    return (f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{esc(title)}">'
            + "".join(parts) + "</svg>")


def text(x, y, what, anchor="start", kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{esc(what)}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def goal_value(result):
    """The goal as a value of the row's unit, where it can be had: the hardest of its parts."""
    values, goal = [], result.goal
    while goal is not None:
        other = result.contenders.get(goal.against) if goal.against else result.best_peer()
        if goal.value is not None:
            values.append(goal.value)
        if goal.times is not None and other is not None:
            values.append(other.median / goal.times if result.better is Better.LOWER
                          else other.median * goal.times)
        goal = goal.also
    if not values:
        return None
    return min(values) if result.better is Better.LOWER else max(values)


def bars(result, number):
    """One row: its contenders, Sluice first, then by median."""
    def place(contender):
        return (contender.role is not Role.OURS,
                contender.median if result.better is Better.LOWER else -contender.median)
    contenders = sorted(result.contenders.values(), key=place)
    goal = goal_value(result)
    top = max([max(c.values) for c in contenders] + ([goal] if goal else [])) or 1
    scale = PLOT / top
    height = len(contenders) * (BAR + GAP) + (18 if goal else 4)
    parts = [line(LABEL, 0, LABEL, height - (18 if goal else 4), "axis")]
    for index, c in enumerate(contenders):
        y = index * (BAR + GAP) + GAP / 2
        middle = y + BAR / 2
        parts += [
            text(LABEL - 8, middle + 4, "Sluice" if c.name == OURS else c.name, "end"),
            f'<rect x="{LABEL}" y="{y}" width="{max(1, c.median * scale):.1f}" height="{BAR}" '
            f'class="{c.role.value}"/>',
            line(LABEL + min(c.values) * scale, middle, LABEL + max(c.values) * scale, middle,
                 "range"),
            text(LABEL + PLOT + 12, middle + 4, f"{number(c.median)} {result.unit}"),
        ]
    if goal:
        x = LABEL + goal * scale
        parts += [line(x, 0, x, height - 16, "goal"),
                  text(x, height - 3, f"goal {number(goal)}", "middle", "goal-text")]
    return svg(height, result.title, parts)


def overview(rows):
    """All rows with a peer: how many times better than the best one, on a logarithmic scale."""
    rows = [row for row in rows if row.ratio()]
    if not rows:
        return ""
    ratios = [row.ratio() for row in rows] + [row.goal.times for row in rows
                                              if row.goal and row.goal.times]
    low = math.floor(math.log2(min(min(ratios), 1)))
    high = math.ceil(math.log2(max(max(ratios), 2)))
    names, wide = 420, WIDTH - 420 - 90

    def at(ratio):
        return names + (math.log2(ratio) - low) / (high - low) * wide
    height = len(rows) * 24 + 26
    parts = []
    for power in range(low, high + 1):
        parts += [line(at(2.0 ** power), 0, at(2.0 ** power), height - 22, "axis"),
                  text(at(2.0 ** power), height - 6, f"{2.0 ** power:g}×", "middle", "faint")]
    for index, row in enumerate(rows):
        y, ratio = index * 24 + 3, row.ratio()
        left, right = sorted((at(1), at(ratio)))
        parts += [text(names - 10, y + 14, row.title if len(row.title) < 58
                       else row.title[:56] + "…", "end"),
                  f'<rect x="{left:.1f}" y="{y}" width="{max(1, right - left):.1f}" height="{BAR}" '
                  f'class="{"ours" if ratio >= 1 else "peer"}"/>',
                  text(WIDTH, y + 14, f"{ratio:.2f}×", "end")]
        if row.goal and row.goal.times and row.goal.against is None:
            parts.append(line(at(row.goal.times), y - 2, at(row.goal.times), y + BAR + 2, "goal"))
    return svg(height, "how many times better than the best peer", parts)


def facts(results):
    """The machine, as a table."""
    lines = []
    for name, value in results.machine.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {it}" for key, it in value.items())
        lines.append(f"<tr><th>{esc(name)}</th><td>{esc(value)}</td></tr>")
    return "<table>" + "".join(lines) + "</table>"


def page(results, labs, goal_text, verdict, number):
    """The page; labs: (heading, rows) of each."""
    rows = [row for _, of_lab in labs for row in of_lab]
    body = [
        "<h1>Sluice beside its peers</h1>", facts(results),
        '<p class="key faint">Bars are medians of the rounds, the line in a bar spans them.'
        '<span class="ours"></span>Sluice<span class="peer"></span>a peer: same work, same conditions'
        '<span class="reference"></span>for reference</p>',
        "<h2>How many times better than the best peer</h2>",
        '<p class="faint">To the right of 1× Sluice is better. The dashed line is the goal.</p>',
        overview(rows)]
    for heading, of_lab in labs:
        body.append(f"<h2>{esc(heading)}</h2>")
        for row in of_lab:
            goal = goal_text(row)
            way = "less is better" if row.better is Better.LOWER else "more is better"
            body.append(f"<h3>{esc(row.title)}</h3><p class=\"faint\">{esc(row.unit)}, {way}"
                        + (f"; goal {esc(goal)}: {verdict(row)}" if goal else "")
                        + f"; taken {esc(results.taken.get(row.name, ''))}</p>"
                        + bars(row, number)
                        + (f"<p>{esc(row.note)}</p>" if row.note else ""))
    style = STYLE.replace(".ours {", ".key .ours { background: var(--ours); } .key .peer { background: "
                          "var(--peer); } .key .reference { background: var(--reference); } .ours {", 1)
    return ('<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
            'content="width=device-width"><title>Sluice: benchmark</title>'
            f"<style>{style}</style></head><body>{''.join(body)}</body></html>\n")
