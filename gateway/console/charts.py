"""Charts as inline SVG: pygal computes them, the style sheet colours them, a table stands beside each.

pygal writes its own style sheet, script and tooltips into a picture; the console's content policy allows
none of them, so `_cleaned` takes them out and leaves the geometry with its class names. Each chart is drawn
twice, for wide and for narrow screens, because the letters of a picture shrink with it; the style sheet
shows one.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import pygal
from markupsafe import Markup
from pygal.etree import etree
from pygal.style import Style

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from xml.etree.ElementTree import Element

etree.to_etree()  # whether or not somebody installs lxml
# pygal's finder of plugins, of which we have none, has no `find_spec`, and every later import asks for it.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

_STYLE: Final = Style(label_font_size=12, major_label_font_size=12, font_family="sans-serif")
"""Only what pygal measures texts by; what is seen is in static/css/charts.css."""

_SIZES: Final = (("wide", 880, 260, 12), ("narrow", 360, 220, 5))
"""Class, width, height in units of the picture, and how many labels fit below it."""


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    values: tuple[int | None, ...]
    """One for each label; None leaves a gap."""


_LONG_NUMBER: Final = re.compile(r"\d+\.\d{2,}")
"""A tenth of a unit is finer than a screen; pygal writes fifteen digits."""


def bars(
    title: str, labels: Sequence[str], series: Sequence[Series], shown: Callable[[int], str], unit: int = 1
) -> Markup:
    """Return stacked columns. `title` is the accessible name, `shown` prints a value, in steps of `unit`."""
    most = max((sum(values) for values in _columns(series)), default=0)
    return _drawn(pygal.StackedBar, title, labels, series, shown, ticks(most, unit))


def lines(
    title: str, labels: Sequence[str], series: Sequence[Series], shown: Callable[[int], str], unit: int = 1
) -> Markup:
    """Return lines. `title` is the accessible name, `shown` prints a value, in steps of `unit`."""
    most = max((max(values) for values in _columns(series) if values), default=0)
    return _drawn(pygal.Line, title, labels, series, shown, ticks(most, unit))


def ticks(most: int, unit: int = 1) -> list[int]:
    """Return round numbers of `unit` from 0 to the first one not below `most`: two to seven of them."""
    units = -(-most // unit)
    step = next(
        digit * 10**power for power in count() for digit in (1, 2, 5) if digit * 10**power * 5 >= units
    )
    return [unit * number for number in range(0, max(units, 1) + step, step)]


def _columns(series: Sequence[Series]) -> Iterator[list[int]]:
    for values in zip(*(one.values for one in series), strict=True):
        yield [value for value in values if value is not None]


def _drawn(
    kind: type[Any],
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    shown: Callable[[int], str],
    marks: list[int],
) -> Markup:
    if not series or not labels:
        return Markup()
    pictures = []
    for name, width, height, fitting in _SIZES:
        chart = kind(width=width, height=height, **_SETTINGS)
        chart.config.value_formatter = lambda value: shown(round(value))
        chart.x_labels = list(labels)
        chart.x_labels_major_every = max(1, -(-len(labels) // fitting))
        chart.y_labels = marks
        for one in series:
            chart.add(one.name, list(one.values))
        root = _cleaned(chart.render_tree(), [one.name for one in series])
        root.attrib |= {"class": f"chart {name}", "role": "img", "aria-label": title}
        pictures.append(ET.tostring(root, encoding="unicode"))
    return Markup("".join(pictures))  # noqa: S704 - ElementTree has escaped every text


_SETTINGS: Final[dict[str, Any]] = {
    "style": _STYLE,
    "js": [],
    "explicit_size": False,
    "show_legend": False,
    "show_dots": False,
    "show_minor_x_labels": False,
    "margin": 8,
    "spacing": 12,
    "truncate_label": -1,
}


def _cleaned(root: Element, names: Sequence[str]) -> Element:
    """Leave geometry, class names and texts: no style, script, tooltip or identifier of pygal's."""
    for element in list(root.iter()):
        for child in list(element):
            if _is_machinery(child):
                element.remove(child)
        for name in ("style", "id", "rx", "ry"):
            element.attrib.pop(name, None)
        for name in {"x", "y", "width", "height", "d"} & set(element.attrib):
            element.set(name, _LONG_NUMBER.sub(lambda found: f"{float(found[0]):.1f}", element.attrib[name]))
    for bars in root.findall(".//g[@class='bars']"):
        for bar in [bar for bar in bars if float(bar[0].attrib["height"]) == 0]:
            bars.remove(bar)  # its outline would cut the axis
    for number, name in enumerate(names):
        for bar in root.findall(f".//g[@class='series serie-{number} color-{number % 16}']//g[@class='bar']"):
            _entitle(bar, name)
    return root


def _is_machinery(element: Element) -> bool:
    classes = element.attrib.get("class", "")
    overlay = "overlay" in classes or classes == "titles"
    return callable(element.tag) or element.tag in {"defs", "title"} or overlay


def _entitle(bar: Element, name: str) -> None:
    """Put what pygal notes beside a bar into the words that a pointer resting on it shows."""
    told = {note.attrib.get("class"): note.text or "" for note in bar.findall("desc")}
    for note in bar.findall("desc"):
        bar.remove(note)
    bar[0].attrib.pop("class")
    title = ET.SubElement(bar, "title")
    title.text = f"{told.get('x_label', '')} · {name}: {told.get('value', '')}"
