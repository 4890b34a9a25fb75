"""All that a study's report tells, as values: what is drawn and said of it, the sections decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from senas.core.certainty import Estimate
from senas.core.explained import Explained
from senas.core.site import Site
from senas.core.trial import Trial
from senas.core.worth import Worth
from senas.report.findings import Findings

Command = tuple[str, str]
"""What it is for, and the line to copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Of a configuration, by name. latency_ms: median, and how far the quartiles are apart; None where not measured."""

    name: str
    se_params: float
    params: float
    macs: float
    latency_ms: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The hypervolume after each trial, by its number.

    single:     as single trainings came to; `expected` as all trainings together tell it, where they tell of all.
    seconds:    of training until the end of each trial.
    reference:  the corner: validation loss, SE parameters.
    """

    single: Mapping[int, float]
    expected: Mapping[int, float]
    seconds: Mapping[int, float]
    reference: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What SE blocks are worth.

    words:    the same in a sentence; `theory` what closed forms say of ratios by the same trainings, a line each.
    adds_to:  what it is added to.
    """

    rows: Sequence[Worth]
    words: str
    adds_to: str
    theory: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What a noise audit said, a line each, and its picture."""

    lines: Sequence[str]
    picture: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What the gates of the pick do.

    of:    which network it was.
    heat:  a picture of them; empty where there is none.
    fold:  the command that folds what can go; "" where there is none.
    """

    of: str
    explained: Explained
    heat: bytes = b""
    fold: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """How the study can be run again.

    ran_with:   a line for each time that it was launched: the command, then versions and hardware.
    read_with:  versions by package, of what wrote the report.
    config:     the whole configuration, as YAML.
    """

    ran_with: Sequence[str]
    read_with: Mapping[str, str]
    commands: Sequence[Command]
    config: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReport:
    """What the report tells of a study.

    asked:       what was asked and tried, in words, by name.
    unfinished:  what is still to come, a sentence; "" where nothing is.
    shape:       of an image: channels, height, width.
    own:         scores that the objective reads beside the usual ones.
    front_of:    the scores of an objective of several that are not those of every front, and the trials that no other
                 beats in all of them; else None.
    scales:      standard deviations: what they are of, and what is known of them.
    gates:       None where nobody looked; `look` is the command that does.
    outcomes:    how many trials came to which end.
    next:        what to do now.
    """

    title: str
    subtitle: str
    asked: Mapping[str, str]
    unfinished: str = ""
    findings: Findings
    sites: Sequence[Site]
    shape: tuple[int, int, int]
    classes: int
    trials: Sequence[Trial]
    own: Sequence[str] = ()
    front_of: tuple[Sequence[str], Sequence[Trial]] | None = None
    effects: Effects
    course: Course
    scales: Mapping[str, Estimate]
    audit: Audit | None = None
    gates: Gates | None = None
    look: str = ""
    costs: Sequence[Costs]
    outcomes: Mapping[str, int]
    next: Sequence[Command]
    origins: Origins
