"""Stacks as a flame graph: an SVG without scripts, whose boxes tell their share when pointed at.

A box is a function, as wide as the part of the samples in which it was on the stack, above its caller;
callees are in the order of their names, so that graphs of two runs can be laid side by side.
"""

import dataclasses
import html
import zlib

WIDTH, ROW, MARGIN = 1600, 17, 10
CHARACTER = 6.6         # px, of the font
LEAST = 0.4             # px, below which a box is left out


@dataclasses.dataclass
class Frame:
    """A function in its place: below the same callers."""
    name: str
    samples: int = 0
    callees: dict = dataclasses.field(default_factory=dict)

    def callee(self, name):
        """The frame of a function that this one called."""
        return self.callees.setdefault(name, Frame(name))

    def depth(self):
        """How many rows it takes."""
        return 1 + max((frame.depth() for frame in self.callees.values()), default=0)


def fold(stacks):
    """The tree of stacks, each a list of functions from the innermost out."""
    root = Frame("all")
    for stack in stacks:
        root.samples += 1
        frame = root
        for name in reversed(stack):
            frame = frame.callee(name)
            frame.samples += 1
    return root


def _color(name):
    """Warm, and the same for a name in every graph."""
    value = zlib.crc32(name.encode())
    return f"rgb({205 + value % 50},{80 + value // 50 % 130},{value // 6500 % 60})"


def _boxes(frame, x, width, level, base, root):
    """The SVG of a frame and of what it called."""
    if width < LEAST:
        return
    y = base - level * ROW
    share = f"{100 * frame.samples / root.samples:.1f} %"
    title = html.escape(f"{frame.name}: {share} ({frame.samples} samples)")
    yield (f'<g><title>{title}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
           f'height="{ROW - 1}" rx="1" fill="{_color(frame.name)}"/>')
    room = int((width - 6) / CHARACTER)
    if room >= 3:
        text = frame.name if len(frame.name) <= room else frame.name[:room - 1] + "…"
        yield f'<text x="{x + 3:.1f}" y="{y + ROW - 5}">{html.escape(text)}</text>'
    yield "</g>"
    for _, callee in sorted(frame.callees.items()):
        part = width * callee.samples / frame.samples
        yield from _boxes(callee, x, part, level + 1, base, root)
        x += part


def draw(root, title):
    """The whole picture."""
    height = (root.depth() + 1) * ROW + 3 * MARGIN
    base = height - MARGIN - ROW
    boxes = _boxes(root, MARGIN, WIDTH - 2 * MARGIN, 0, base, root) if root.samples else ()
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">\n'
            f'<rect width="{WIDTH}" height="{height}" fill="#fffdf5"/>\n'
            f'<text x="{MARGIN}" y="{MARGIN + ROW - 5}" font-size="14">{html.escape(title)}: '
            f'{root.samples} samples</text>\n' + "\n".join(boxes) + "\n</svg>\n")
