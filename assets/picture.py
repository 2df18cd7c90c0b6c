#!/usr/bin/env python3
"""Turns a terminal's content (`tmux capture-pane -e -p`) on standard input into an SVG picture on standard output.

Knows the sixteen colours and the attributes the console uses; blocks and lines are drawn, so that they join whatever
the viewer's font. Needs nothing but Python.
"""

import html
import re
import sys
import unicodedata

CELL_W, CELL_H, FONT, PAD = 8.4, 18.0, 14, 12
COLOURS = [
    "#1d2229", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d4d7dc",
    "#6b7380", "#ff8a93", "#b5e08f", "#ffd78f", "#8fcbff", "#e29bf5", "#7fd6e0", "#ffffff",
]
BACKGROUND, FOREGROUND = "#16191f", "#d4d7dc"
# Which of left, up, right, down a line character reaches to.
LINES = {
    "─": "lr", "│": "ud", "┬": "lrd", "┴": "lru", "├": "udr", "┤": "udl", "┼": "udlr",
    "┌": "rd", "┐": "ld", "└": "ru", "┘": "lu", "╭": "rd", "╮": "ld", "╰": "ru", "╯": "lu",
    "━": "lr", "┃": "ud",
}
EIGHTHS = " ▏▎▍▌▋▊▉█"


def plain():
    return {"fg": None, "bg": None, "bold": False, "dim": False, "reverse": False}


def apply(style, codes):
    """Applies the numbers of one SGR sequence."""
    numbers = [int(code or 0) for code in codes.split(";")]
    while numbers:
        n = numbers.pop(0)
        if n == 0:
            style.update(plain())
        elif n in (1, 2, 7):
            style[{1: "bold", 2: "dim", 7: "reverse"}[n]] = True
        elif n == 22:
            style["bold"] = style["dim"] = False
        elif n == 27:
            style["reverse"] = False
        elif 30 <= n <= 37 or 90 <= n <= 97:
            style["fg"] = COLOURS[n - 30 if n < 90 else n - 82]
        elif 40 <= n <= 47 or 100 <= n <= 107:
            style["bg"] = COLOURS[n - 40 if n < 100 else n - 92]
        elif n == 39:
            style["fg"] = None
        elif n == 49:
            style["bg"] = None
        elif n in (38, 48) and numbers[:1] == [5]:
            index = numbers[1]
            style["fg" if n == 38 else "bg"] = COLOURS[index] if index < 16 else None
            del numbers[:2]


def cells(line, style):
    """The characters of a line with their styles."""
    at = 0
    for match in re.finditer(r"\x1b\[([0-9;]*)m|\x1b\(B|\x0f", line):
        yield from ((char, dict(style)) for char in line[at:match.start()])
        if match.group(1) is not None:
            apply(style, match.group(1))
        at = match.end()
    yield from ((char, dict(style)) for char in line[at:])


def width(char):
    return 2 if unicodedata.east_asian_width(char) in "WF" else 0 if unicodedata.combining(char) else 1


def colours(style):
    fg, bg = style["fg"] or FOREGROUND, style["bg"]
    return (bg or BACKGROUND, fg) if style["reverse"] else (fg, bg)


def drawn(char, x, y, fill):
    """A block or line character as shapes; nothing for other characters."""
    if char in EIGHTHS[1:]:
        return f'<rect x="{x:.1f}" y="{y:.1f}" width="{CELL_W * EIGHTHS.index(char) / 8 + 0.05:.2f}" height="{CELL_H:.1f}" fill="{fill}"/>'
    if char == "▕":
        return f'<rect x="{x + CELL_W * 7 / 8:.1f}" y="{y:.1f}" width="{CELL_W / 8:.2f}" height="{CELL_H:.1f}" fill="{fill}"/>'
    if char not in LINES:
        return None
    cx, cy = x + CELL_W / 2, y + CELL_H / 2
    ends = {"l": (x, cy), "r": (x + CELL_W, cy), "u": (cx, y), "d": (cx, y + CELL_H)}
    path = "".join(f"M{cx:.1f} {cy:.1f}L{ends[end][0]:.1f} {ends[end][1]:.1f}" for end in LINES[char])
    return f'<path d="{path}" stroke="{fill}" stroke-width="1.2" stroke-linecap="square"/>'


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    style, shapes, columns = plain(), [], 80
    for row, line in enumerate(lines):
        x, y, run = PAD, PAD + row * CELL_H, []
        column = 0

        def flush():
            if run and any(char != " " for char, _ in run):
                start, (fill, attributes) = run[0][1], run_style
                text = html.escape("".join(char for char, _ in run))
                length = CELL_W * len(run)
                shapes.append(
                    f'<text x="{start:.1f}" y="{y + CELL_H * 0.72:.1f}" textLength="{length:.1f}" fill="{fill}"{attributes}>{text}</text>'
                )
            run.clear()

        run_style = None
        for char, look in cells(line, style):
            fg, bg = colours(look)
            x = PAD + column * CELL_W
            column += width(char)
            if bg:
                shapes.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{CELL_W + 0.1:.1f}" height="{CELL_H:.1f}" fill="{bg}"/>')
            attributes = (' font-weight="bold"' if look["bold"] else "") + (' opacity="0.6"' if look["dim"] else "")
            shape = drawn(char, x, y, fg)
            if shape:
                flush()
                shapes.append(shape if not look["dim"] else f'<g opacity="0.6">{shape}</g>')
                continue
            if run_style != (fg, attributes) or width(char) != 1:
                flush()
                run_style = (fg, attributes)
            run.append((char, x))
        flush()
        columns = max(columns, column)
    total_w, total_h = 2 * PAD + columns * CELL_W, 2 * PAD + len(lines) * CELL_H
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total_w:.0f}" height="{total_h:.0f}" '
        f'viewBox="0 0 {total_w:.0f} {total_h:.0f}">\n'
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>\n'
        f'<g shape-rendering="crispEdges" font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="{FONT}" xml:space="preserve">'
    )
    print("\n".join(shapes))
    print("</g>\n</svg>")


if __name__ == "__main__":
    main()
