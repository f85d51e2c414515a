"""The report as one HTML file that needs nothing else: no script, no font, no address."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from ..results import Report
from .columns import LEFT, details, notes_of, overview
from .plots import as_svg, draw_all


def as_page(report: Report) -> str:
    """Render a report, plots and all."""
    pages = Environment(
        loader=PackageLoader("birdedge.benchmarks", "report"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # What matplotlib draws is markup; everything else is text, whatever is written in a manifest.
    plots = [
        (title, explanation, Markup(as_svg(figure)))
        for title, explanation, figure in draw_all(report)
    ]
    return pages.get_template("page.html").render(
        report=report,
        overview=overview(report),
        details=details(report),
        left=LEFT,
        notes=notes_of(report),
        plots=plots,
    )
