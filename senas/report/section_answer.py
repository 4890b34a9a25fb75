"""The head of a study's report: the answer, what was asked, and what to do now."""

from html import escape

from senas.report.drawing import legend
from senas.report.findings import INTERVAL, ranged, size
from senas.report.markup import commands, facts, figure, listed, quiet, said
from senas.report.network import Drawn, network
from senas.report.scatter import kind_of
from senas.report.study import StudyReport

SE = (
    "A Squeeze-and-Excitation (SE) block scales each channel of a layer by a factor, its gate, that a bottleneck of "
    "two small layers computes from the means of all channels. A ratio r stands for a bottleneck of an r-th as many "
    "units as channels."
)

READING = (
    "A unit is read from left to right: its layers along the line, its shortcut above, the addition at the circle. "
    "Bars are SE blocks, the higher the more hidden units a channel; the numbers tell r, and hidden units of channels."
)


def answer(study: StudyReport) -> str:
    """What it came to, drawn on the network, and the commands that go on from there."""
    found = study.findings
    verdict, why = _in_words(study)
    why += [found.unlearned] if found.unlearned else []
    pick = Drawn(
        name=f"trial {found.pick.trial.number}",
        config=found.picked.config,
        told=(kind_of(found), f"{size(found.picked):,.0f} SE parameters"),
    )
    drawing = network([pick], study.sites, study.shape, study.classes)
    return (
        f'<section aria-label="The answer"><div class="answer{"" if found.pick.decided else " open"}">'
        f'<p class="verdict">{escape(verdict)}</p>'
        f"{said(*why)}{listed(found.comparisons)}{quiet(found.behind, study.unfinished)}</div>\n"
        f"{figure('pick', drawing, READING)}"
        f"{legend(study.sites, [found.picked.config])}"
        f"<h3>What to do now</h3>{commands(study.next)}"
        f"<h3>What was asked</h3>{quiet(SE)}{facts(study.asked)}</section>"
    )


def _in_words(study: StudyReport) -> tuple[str, list[str]]:
    """The verdict in a sentence, and the sentences that it rests on."""
    found, config = study.findings, study.findings.picked.config
    pick, words = found.pick, config.words(study.sites)
    expected = f"Expected {found.spoken}, over seeds: {ranged(found.shown(found.picked.loss))}, with its {INTERVAL}."
    named = f"trial {pick.trial.number}"
    if not pick.decided:
        why = pick.why.removesuffix(". It leads").removeprefix("undecided at this budget: ")
        leads = f"What leads is {named}, {words}." if config else f"What leads is {named}, the network without SE."
        return "Undecided: these trainings do not settle it yet.", [_sentence(why), leads, expected]
    does = "Recommended" if found.verdict == "recommended" else f"Picked ({found.how})"
    verdict = f"{does}: {words}." if config else f"{does}: the network without SE blocks."
    return verdict, [f"Why {named}: {pick.why}.", expected]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
