"""A study's report: one page to decide by, whole without a network."""

import re
from dataclasses import replace
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pytest

from senas.core.block import Placement, SEBlock
from senas.core.certainty import Estimate
from senas.core.config import SEConfig
from senas.core.explained import Explained, Profile, Removal
from senas.core.site import Place, Site
from senas.core.trial import Status
from senas.core.verdict import Pick
from senas.core.worth import ANY, Worth
from senas.report import section_course
from senas.report.study import Audit, Costs, Course, Effects, Gates, Origins, StudyReport
from senas.report.study_page import SECTIONS, figures, study_page

PNG = b"\x89PNG picture"


@pytest.fixture
def study(sites, findings):
    """A report of the study of the other fixtures."""
    noise = {section_course.NOISE: Estimate(0.02, 0.01, 0.03), section_course.SPREAD: Estimate(0.01, 0.005, 0.02)}
    return StudyReport(
        title="pilot",
        subtitle="resnet8 on digits",
        asked={"Network": "resnet8", "Images": "digits"},
        findings=findings,
        sites=sites,
        shape=(1, 8, 8),
        classes=10,
        trials=findings.measured,
        effects=Effects(
            rows=[
                Worth("placement", "standard", "", Estimate(-0.02, -0.03, -0.01), 0.99, 12),
                Worth("place", "layer1.0", ANY, Estimate(-0.01, -0.03, 0.01), 0.8, 9),
                Worth("place", "layer1.0", "r4 standard", Estimate(0.02, 0.01, 0.03), 0.01, 4),
            ],
            words="What these trainings show.",
            adds_to="validation loss",
            theory=["kappa is not identified"],
        ),
        course=Course(
            single={2: 100.0, 4: 150.0, 7: 160.0},
            expected={2: 90.0, 4: 140.0},
            seconds={2: 60.0, 4: 120.0, 7: 240.0},
            reference=(2.3, 592.0),
        ),
        scales=noise,
        costs=[Costs(name="recommended", se_params=592.0, params=75594.0, macs=7.5e5)],
        outcomes={"trained to the end": 5, "failed": 0},
        look="senas report study.name=pilot",
        next=[("Write it to a folder:", "senas export study.name=pilot")],
        origins=Origins(
            ran_with=["2026-11-23 17:41:27: senas search (python 3.11)"],
            read_with={"senas": "0.1.0"},
            commands=[("Launch it again:", "senas search study.name=pilot-again")],
            config="study:\n  name: pilot\n",
        ),
    )


@pytest.fixture
def gates():
    """What the gates of a network with one block do."""
    profile = Profile(
        site="layer1.0",
        block=SEBlock(hidden=4),
        placement=Placement.STANDARD,
        channels=16,
        mean=np.full(16, 0.5),
        sd=np.full(16, 0.1),
        by_class=np.full((2, 16), 0.5),
        suppressed=0.25,
        low=0.0,
        high=0.125,
        per_image=0.75,
        per_class=0.5,
        rank=3.5,
        hidden=4,
    )
    facts = {"constant_accuracy": 0.9, "bypassed_accuracy": 0.8}
    known = {name: value for name, value in facts.items() if name in Removal.__dataclass_fields__}
    removal = Removal(
        site="layer1.0",
        constant=Estimate(0.0102, 0.01, 0.0104),
        bypassed=Estimate(0.2, 0.1, 0.3),
        params=148,
        macs=128,
        **known,
    )
    seen = Explained(
        images=539, classes=("a", "b"), loss=0.41, accuracy=0.9375, profiles=(profile,), removals=(removal,)
    )
    return Gates(of="Trial 11", explained=seen, heat=PNG, fold="senas export study.name=pilot fold=0.001")


def test_the_page_asks_for_nothing_from_anywhere_and_runs_nothing(study, gates):
    page = study_page(replace(study, gates=gates, audit=Audit(lines=["told"], picture=PNG)))
    asked = re.findall(r'(?:src|href)=["\']?([^"\'\s>]*)', page)
    assert {each for each in asked if not each.startswith(("#", "data:image/png;base64,"))} == set()
    assert re.findall(r"url\(|@import|https?:", page) == []
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_its_sections_come_in_the_order_of_a_decision_and_can_be_jumped_to(study):
    page = study_page(study)
    assert re.findall(r"<h2>\d &nbsp;([^<]+)</h2>", page) == list(SECTIONS)
    assert re.findall(r'href="#(\w+)"', page) == re.findall(r'<section id="(\w+)"', page)
    assert page.index('class="answer') < page.index("What to do now") < page.index("<h2>")


def test_what_is_recommended_is_said_first_with_its_interval_and_its_reason(study, sites):
    page = unescape(study_page(study))
    words = study.findings.picked.config.words(sites)
    assert f'<p class="verdict">Recommended: {words}.</p>' in page
    assert "Expected val loss, over seeds: 0.4100 (0.3600 to 0.4600)" in page
    assert "fewest SE parameters within 0.1 of the lowest" in page
    assert "<li>val loss minus that of no SE: -0.1100 (-0.1400 to -0.0800)</li>" in page


def test_what_is_undecided_is_nowhere_recommended(study, undecided):
    page = unescape(study_page(replace(study, findings=undecided, costs=())))
    assert "Undecided" in page
    assert "What leads is trial 11" in page
    assert 'class="answer open"' in page
    assert "recommended" not in page.lower()


def test_where_no_se_is_recommended_that_is_said_in_words(study, front, findings):
    found = replace(findings, pick=Pick(front[0], "lowest", decided=True), picked=findings.points[0])
    page = study_page(replace(study, findings=found))
    assert "Recommended: the network without SE blocks." in page
    assert "no gates" in page


def test_the_pick_is_drawn_beside_the_baselines_and_its_rivals(study):
    drawing = study_page(study).split('data-name="network"')[1].split("</svg>")[0]
    names = re.findall(r'class="who"[^>]*>([^<]+)<', drawing)
    assert names == ["Recommended", "no SE", "SE everywhere, r16", "trial 2"]


def test_the_front_comes_before_the_others_in_tables_with_heads_for_rows_and_columns(study):
    page = study_page(study)
    tables = re.findall(r"<table>.*?</table>", page, re.S)
    assert all("<caption>" in each and '<th scope="col"' in each for each in tables)
    rows = [row for each in tables for row in re.findall(r"<tr>(.*?)</tr>", each.split("<tbody>")[1], re.S)]
    assert all(row.startswith('<th scope="row"') for row in rows)
    front = next(each for each in tables if "on the front" in each)
    assert re.findall(r'<th scope="row">(\d+)', front) == ["4", "11", "2", "7"]


def test_every_picture_says_what_it_shows(study, gates):
    page = study_page(replace(study, gates=gates, audit=Audit(lines=[], picture=PNG)))
    assert all('aria-label="' in head for head in re.findall(r"<svg[^>]*>", page))
    assert all('alt="' in head for head in re.findall(r"<img[^>]*>", page))
    assert page.count("<img") == 2


def test_no_picture_can_take_what_is_anothers(study):
    assert re.findall(r'\bid="(\w+)"', study_page(study)) == [f"s{n}" for n in range(1, len(SECTIONS) + 1)]


def test_the_pictures_as_files_stand_for_themselves(study, gates):
    drawings = figures(study_page(replace(study, gates=gates)))
    assert {"network.svg", "front.svg", "effects.svg", "hypervolume.svg", "curves.svg"} <= set(drawings)
    for drawing in drawings.values():
        root = ElementTree.fromstring(drawing)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert float(root.get("width")) > 100
        assert "--blue" in root.find("{http://www.w3.org/2000/svg}style").text


def test_names_from_elsewhere_are_text_wherever_they_stand(study, gates, findings):
    evil = "<script>alert(1)</script> $title"
    sites = [replace(site, name=evil) if n else site for n, site in enumerate(study.sites)]
    known = replace(gates.explained, classes=(evil, "b"), profiles=(replace(gates.explained.profiles[0], site=evil),))
    origins = Origins(ran_with=[evil], read_with={evil: evil}, commands=[(evil, evil)], config=evil)
    named = dict.fromkeys(("title", "subtitle", "unfinished", "look"), evil)
    page = study_page(
        replace(
            study,
            **named,
            asked={evil: evil},
            findings=replace(findings, **_moved(findings, evil), behind=evil, metric=evil),
            trials=[],
            sites=sites,
            effects=Effects(rows=[replace(row, name=evil) for row in study.effects.rows], words=evil, adds_to=evil),
            scales={**study.scales, evil: Estimate(0.1, 0.0, 0.2)},
            audit=Audit(lines=[evil], picture=PNG),
            gates=replace(gates, of=evil, explained=known, fold=evil),
            costs=[replace(study.costs[0], name=evil)],
            outcomes={evil: 1},
            next=[(evil, evil)],
            origins=origins,
        )
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt; $title") > 20


def _moved(findings, name):
    """The findings with their second site under another name."""

    def moved(config):
        return SEConfig({name if site == "layer2.0" else site: block for site, block in config.items()})

    def trial(old):
        return replace(old, config=moved(old.config), scores={**old.scores, name: 0.5})

    points = [p._replace(config=moved(p.config), trial=trial(p.trial)) for p in findings.points]
    return {
        "measured": [trial(each) for each in findings.measured],
        "points": points,
        "front": points[:3],
        "pick": findings.pick._replace(trial=trial(findings.pick.trial)),
        "picked": points[1],
        "baselines": {key: moved(config) for key, config in findings.baselines.items()},
    }


def test_what_the_gates_do_is_shown_where_somebody_looked(study, gates):
    page = study_page(replace(study, gates=gates))
    assert 'src="data:image/png;base64,' in page
    assert ">3.5<small>of 4</small>" in page
    assert "+0.0102<small>+0.0100 to +0.0104</small>" in page
    assert "fold=0.001" not in page  # its one block stays
    assert study.look not in page


def test_that_networks_have_not_learned_stands_in_the_answer(study):
    page = study_page(replace(study, findings=replace(study.findings, unlearned="These networks guess.")))
    assert page.index("These networks guess.") < page.index("What to do now")


def test_to_fold_is_offered_where_a_block_can_go(study, gates):
    (removal,) = gates.explained.removals
    idle = replace(removal, constant=Estimate(0.0, -0.0002, 0.0002))
    page = study_page(replace(study, gates=replace(gates, explained=replace(gates.explained, removals=(idle,)))))
    assert "<code>senas export study.name=pilot fold=0.001</code>" in page


def test_what_theory_says_stands_beside_what_was_found(study):
    page = study_page(study)
    assert page.index("What these trainings show.") < page.index("<li>kappa is not identified</li>")
    assert "theory says" not in study_page(replace(study, effects=replace(study.effects, theory=())))


def test_where_nobody_looked_into_the_gates_the_command_that_does_is_told(study):
    assert "<code>senas report study.name=pilot</code>" in study_page(study)


def test_an_objective_of_several_has_its_front_by_all_of_them(study, front):
    page = study_page(replace(study, front_of=(("val_loss", "macs", "minus_f1"), [_with_f1(front[0])])))
    assert "The front of the objective" in page
    assert '<td class="n">0.5123</td><td class="n">747.1 k</td><td class="n">0.75</td>' in page


def _with_f1(trial):
    return replace(trial, scores={**trial.scores, "f1": 0.75})


@pytest.mark.parametrize(
    ("volumes", "words"),
    [
        ({0: 6190.0, 3: 6220.0, 5: 6220.0, 8: 6230.0}, "added to trial 0, 25% came after trial 3, half way to trial 8"),
        (
            {0: 6190.0, 3: 6190.0, 5: 6220.0, 8: 6220.0},
            "added to trial 0, 100% came after trial 3, half way to trial 8",
        ),
        ({0: 6190.0, 3: 6190.0}, "No later trial added to what trial 0 has"),
    ],
)
def test_what_came_late_is_told_beside_what_the_search_added_and_not_the_whole_area(study, volumes, words):
    course = Course(single=volumes, expected=volumes, seconds=volumes, reference=(2.3, 592.0))
    assert words in study_page(replace(study, course=course))


def test_trainings_that_confirm_leave_the_course_to_all_trainings_together(study):
    course = Course(
        single={0: 1.0, 3: 2.0, 5: 4.0}, expected={0: 1.0, 3: 2.0}, seconds={0: 1.0}, reference=(2.3, 592.0)
    )
    page = study_page(replace(study, course=course))  # trial 5 trained again what trial 3 has
    assert "Blue: by what all trainings together tell" in page
    assert "0% came after trial 3" in page


def test_where_not_all_trainings_were_read_together_the_course_is_of_single_ones(study):
    course = Course(single={0: 1.0, 3: 2.0, 5: 2.0}, expected={}, seconds={0: 1.0}, reference=(2.3, 592.0))
    page = study_page(replace(study, course=course))
    assert "By what single trainings came to." in page
    assert "added to trial 0, 0% came after trial 3" in page


def test_a_study_of_one_training_without_baselines_has_a_page(study, findings, point, make):
    trial = make(3, SEConfig(), 0.7, curve=())
    known = point(trial, 0.7)
    pick = Pick(trial, "undecided at this budget: 1 training. It leads", decided=False)
    facts = {"measured": [trial], "points": [known], "front": [known], "picked": known, "pick": pick}
    found = replace(findings, **facts, against={}, baselines={}, elsewhere=None)
    course = Course(single={3: 1.0}, expected={3: 1.0}, seconds={3: 1.0}, reference=(2.3, 592.0))
    nothing = Effects(rows=[], words="", adds_to="validation loss")
    scales = {section_course.NOISE: Estimate(0.1, 0.0, 0.2)}
    page = study_page(
        replace(study, findings=found, trials=[trial], course=course, effects=nothing, scales=scales, costs=())
    )
    assert "there is no course yet" in page
    assert "there are no curves" in page


def test_trials_that_failed_were_pruned_rejected_or_run_are_in_no_figure_but_their_curves(study, make):
    more = [
        make(20, SEConfig(), 0.5, status=status, scores={}, values=(), curve=curve, seconds=seconds)
        for status, curve, seconds in (
            (Status.FAILED, (), 1.0),
            (Status.REJECTED, (), 0.0),
            (Status.RUNNING, ({"val_loss": 0.9},), 0.0),
            (Status.PRUNED, ({"val_loss": 0.9}, {"val_loss": 0.8}), 1.0),
        )
    ]
    page = study_page(replace(study, trials=[*study.trials, *more]))
    before = study_page(study)
    assert page.count('class="curve') == before.count('class="curve') + 1
    assert page.count('class="dot one"') == before.count('class="dot one"')


def test_a_hundred_trials_of_fifty_epochs_on_fifty_sites_are_a_page_of_less_than_three_megabytes(
    study, findings, make, point
):
    place = Place(16, 8, 8)
    sites = [Site(f"layer{n // 18 + 1}.{n % 18}", dict.fromkeys(Placement, place), place) for n in range(54)]
    trials = []
    for number in range(100):
        chosen = {s.name: SEBlock(hidden=1 + (number + n) % 8) for n, s in enumerate(sites) if (number + n) % 3}
        config = SEConfig(chosen)
        scores = {"val_loss": 1 - number / 200, "se_params": float(number * 50), "params": 1e6, "macs": 1e7}
        curve = [{"val_loss": 2 - epoch / 50} for epoch in range(50)]
        trials.append(replace(findings.measured[0], number=number, config=config, scores=scores, curve=curve))
    points = [point(trial, trial.scores["val_loss"], on_front=0.5) for trial in trials]
    facts = {"measured": trials, "points": points, "front": points, "picked": points[9], "elsewhere": None}
    found = replace(findings, **facts, pick=Pick(trials[9], "best", decided=True), baselines={}, against={})
    page = study_page(replace(study, findings=found, sites=sites, trials=trials))
    assert 100_000 < len(page.encode()) < 3_000_000
