"""A study as one page that a person can decide by: the answer first, then what it rests on. It needs no network.

Every picture is SVG in the page, without an id, so that none can take what is another's; there is no script.
"""

import re
from html import escape
from string import Template

from senas.report.look import DRAWN, LIGHT
from senas.report.section_again import again, time_and_cost
from senas.report.section_answer import answer
from senas.report.section_course import how_it_went, learning_curves, luck
from senas.report.section_effects import worth
from senas.report.section_front import alternatives, the_front
from senas.report.section_gates import gates
from senas.report.sheet import FIGURES, SHEET
from senas.report.study import StudyReport

SECTIONS = {
    "On the network": alternatives,
    "Loss against cost": the_front,
    "What SE is worth": worth,
    "How the search went": how_it_went,
    "Learning curves": learning_curves,
    "How much is luck": luck,
    "What the gates do": gates,
    "Time and cost": time_and_cost,
    "To do it again": again,
}
"""After the answer, in the order of a decision."""


def study_page(study: StudyReport) -> str:
    """The page, whole."""
    names = list(SECTIONS)
    return Template(SHEET).substitute(
        light=LIGHT,
        drawn=DRAWN,
        figures=FIGURES,
        title=escape(study.title),
        subtitle=escape(study.subtitle),
        contents="".join(f'<a href="#s{n}">{n} {name}</a>' for n, name in enumerate(names, 1)),
        answer=answer(study),
        sections="\n".join(
            f'<section id="s{n}"><h2>{n} &nbsp;{name}</h2>\n{inside(study)}</section>'
            for n, (name, inside) in enumerate(SECTIONS.items(), 1)
        ),
    )


def figures(page: str) -> dict[str, bytes]:
    """The drawings of a page as files, by name: each stands for itself, with its look in it."""
    drawings = re.findall(r'<figure data-name="(\w+)">(<svg.*?</svg>)<figcaption>', page, re.S)
    return {f"{name}.svg": _alone(drawing).encode() for name, drawing in drawings}


def _alone(drawing: str) -> str:
    """With a name space, a size and a ground."""
    x, y, width, height = re.findall(r"[-\d.]+", drawing.partition('viewBox="')[2].partition('"')[0])[:4]
    head, _, inside = drawing.partition(">")
    box = f'viewBox="{float(x) - 8:g} {float(y) - 8:g} {float(width) + 16:g} {float(height) + 16:g}"'
    head = re.sub(r'viewBox="[^"]*"', box, head)
    head = head.replace("<svg", f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"', 1)
    ground = f'<rect x="{float(x) - 8:g}" y="{float(y) - 8:g}" width="100%" height="100%" fill="#fff"/>'
    return f"{head}><style>:root {{ {LIGHT} }}\n{DRAWN}\n{FIGURES}</style>{ground}{inside}"
