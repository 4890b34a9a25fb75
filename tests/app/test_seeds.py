"""Which seeds a study has, by its sampler, and what was trained beside its trials."""

import re

import pytest

from senas.app.calls import called
from senas.app.seeds import ROTATING, beside, replicates_of, seeds_of
from senas.core.config import SEConfig
from senas.core.seeds import Seeds
from senas.core.trial import Status, Trial
from senas.exported.package import read


def config(*words):
    return called("search", words, {})


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "gp"])
def test_a_sampler_that_knows_nothing_of_seeds_has_one(sampler):
    assert seeds_of(config(f"sampler={sampler}", "study.seed=5")) == Seeds(5, 1)


@pytest.mark.parametrize("sampler", ["random", "effects"])
def test_a_sampler_that_no_seed_misleads_has_four(sampler):
    assert seeds_of(config(f"sampler={sampler}", "study.seed=5")) == Seeds(5, 4)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_what_is_asked_for_holds_for_every_sampler(sampler):
    assert seeds_of(config(f"sampler={sampler}", "study.seeds=2")) == Seeds(0, 2)


def test_every_sampler_of_that_list_is_one_of_ours():
    assert {config(f"sampler={name}").sampler["_target_"] for name in ("random", "effects")} == ROTATING


def test_half_as_many_replicates_as_trials_that_were_not_screened_out():
    out = [Trial(number=n, status=Status.PRUNED, config=SEConfig(), seed=n) for n in range(6)]
    done = [Trial(number=n, status=Status.COMPLETE, config=SEConfig(), seed=n, curve=({},)) for n in range(6, 10)]
    assert replicates_of(config("study.trials=20"), done) == 10
    assert replicates_of(config("study.trials=20"), [*out, *done]) == 7
    assert replicates_of(config("study.trials=20", "study.confirm=3"), [*out, *done]) == 3


def test_what_was_trained_beside_the_trials_is_told_by_its_kind():
    origins = ["start", "audit", "sampler", "confirm", "audit", "audit"]
    trials = [
        Trial(number=number, status=Status.COMPLETE, config=SEConfig(), seed=number, origin=origin)
        for number, origin in enumerate(origins)
    ]
    assert beside(trials) == " (and 3 trained for the audit, 1 trained to confirm)"
    assert beside(trials[:1]) == ""


@pytest.mark.slow
def test_a_random_search_takes_four_seeds_in_turn_and_its_export_names_them(searched, senas, folder):
    said = searched("sampler=random", "study.name=turns", "study.trials=5")
    assert re.findall(r" s  seed (\d): ", said.out) == ["0", "1", "2", "3", "0"]
    assert "with the seeds 0, 1, 2, 3, read together" in " ".join(said.out.split())
    assert senas("export", "study.name=turns", "pick=trial:2", "to=out").code == 0
    found = read(folder / "out").provenance
    assert (found["seed"], found["seeds"]) == (2, [0, 1, 2, 3])


@pytest.mark.slow
def test_a_small_space_is_exhausted_with_every_seed(searched):
    said = searched("space.sites=[layer1.0]", "space.placement=[standard]", "study.trials=100", "study.seeds=2")
    seeds = re.findall(r" s  seed (\d): ", said.out)
    assert (seeds.count("0"), seeds.count("1")) == (3, 3)
    assert "all 3 configurations of the space were tried with each of 2 seeds: the study is over" in said.out
