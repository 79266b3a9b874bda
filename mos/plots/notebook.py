"""A matplotlib figure that a notebook shows as SVG."""

from __future__ import annotations

from itertools import count

from matplotlib.figure import Figure

_numbers = count(1)


class NotebookFigure(Figure):
    """A figure that notebooks show without pyplot; each SVG has unique ids."""

    def _repr_svg_(self) -> str:
        from mos.plots.svg import figure_to_svg

        return figure_to_svg(self, f"figure-{next(_numbers)}")
