"""kappa from real trainings that other studies left, and from the SE paper's own table: real.csv.

    python studies/reduction_ratio/real.py

`fashion_mnist.csv` holds the trainings that there were when this was stopped, in the third of four seeds:

    senas search study.name=fm data=fashion_mnist data.train=4000 data.val=5000 trainer.epochs=3 backbone.size=14 \
      study.audit=true audit.configs=10 audit.seeds=4 study.trials=6 study.confirm=0 study.start=[none,theory]

The same setting as that of studies/audits, whose trainings are read beside them.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

from senas.app.bench import bench, space_on
from senas.app.calls import called
from senas.core.certainty import Estimate
from senas.core.config import SEConfig
from senas.core.curvature import ratio_theory
from senas.core.effects import Observation, fit
from senas.core.space import SearchSpace
from senas.core.theory import best_blocks, kappa_of, price

HERE = Path(__file__).parent
PENALTY = 0.1
RATIOS, TOP1 = (2, 4, 8, 16, 32), (22.29, 22.25, 22.26, 22.28, 22.72)
"""Hu et al., arXiv:1709.01507, the table of reduction ratios: SE-ResNet-50 on ImageNet, top-1 error in percent."""
COLUMNS = (
    "trainings_of",
    "trainings",
    "configurations",
    "ratios",
    "mean",
    "low",
    "high",
    "identified",
    "best_ratios",
    "beside",
)


def main() -> None:
    resnet8, resnet20 = space_of("resnet8"), space_of("resnet20")
    digits = [*noise("digits"), *read("audits/digits.csv"), *quickstart(resnet8)]
    told = [
        fitted("digits", resnet8, digits),
        fitted("cued digits", resnet8, [*cued(), *read("audits/cued_digits.csv")]),
        fitted(
            "Fashion-MNIST, 5,000 validation images",
            resnet8,
            [*read("reduction_ratio/fashion_mnist.csv"), *read("audits/fashion_mnist.csv")],
        ),
        fitted("Fashion-MNIST, 10,000 validation images", resnet8, noise("fashion_mnist")),
        fitted("Fashion-MNIST, ResNet-20", resnet20, read("fashion_mnist_resnet20/results.csv")),
    ]
    for upto in (16, 32):
        some = [r for r in RATIOS if r <= upto]
        kappa = kappa_of(some, TOP1[: len(some)])
        name = f"the paper's table, r = 2 to {upto} (percent)"
        told.append((*row(name, len(some), len(some), some, kappa, kappa.low > 0, ""), ""))
    with (HERE / "real.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, *told])


def fitted(name: str, space: SearchSpace, rows: Iterable[dict[str, str]]) -> tuple[object, ...]:
    """One training a configuration and seed: studies of one setting have some in common."""
    once = {(r["blocks"], r["seed"]): float(r["val_loss"]) for r in rows}
    seen = [Observation(SEConfig.parse(blocks), int(seed), loss) for (blocks, seed), loss in once.items()]
    theory = ratio_theory(space, seen, price=price(PENALTY, space.largest_params))
    assert theory.kappa is not None
    best = {c: theory.best(c) for c in (16, 32, 64)}
    words = "; ".join(f"C = {c}: {b.mean:.1f} ({b.low:.1f} to {b.high:.1f})" for c, b in best.items() if b)
    told = row(name, len(seen), theory.configurations, theory.ratios, theory.kappa, theory.identified, words)
    return *told, beside(space, seen, theory.kappa.mean) if theory.identified else ""


def beside(space: SearchSpace, seen: list[Observation], kappa: float) -> str:
    """The penalised loss of theory's configuration minus that of each of one ratio, as the effects model has them."""
    effects = fit(space, seen)
    tried = [best_blocks(space, kappa, PENALTY), SEConfig.everywhere(space.sites, 4), SEConfig.everywhere(space.sites)]
    paid = [PENALTY * config.params(space.sites) / space.largest_params for config in tried]
    theory, *others = (effects.losses(tried) + paid).T
    apart = [Estimate.of(theory - other) for other in others]
    words = (f"{e.mean:+.4f} ({e.low:+.4f} to {e.high:+.4f})" for e in apart)
    return f"{tried[0]}: minus r4 {next(words)}; minus r16 {next(words)}"


def row(
    name: str,
    trainings: int,
    configurations: int,
    ratios: Iterable[float],
    kappa: Estimate,
    identified: bool,
    best: str,
) -> tuple[object, ...]:
    listed = " ".join(f"{ratio:g}" for ratio in ratios)
    numbers = (f"{each:.4g}" for each in (kappa.mean, kappa.low, kappa.high))
    return name, trainings, configurations, listed, *numbers, "yes" if identified else "no", best


def space_of(backbone: str) -> SearchSpace:
    config = called("search", ["data=digits", f"backbone={backbone}"], {})
    parts = bench(config.backbone, config.data, config.trainer)
    return space_on(parts.traced.sites, config.space)


def read(path: str) -> list[dict[str, str]]:
    with (HERE.parent / path).open() as file:
        return [{"seed": "0", **row} for row in csv.DictReader(file)]


def noise(data: str) -> list[dict[str, str]]:
    return [r for r in read("noise/results.csv") if (r["data"], r["setting"]) == (data, "as it is")]


def cued() -> list[dict[str, str]]:
    """All trainings of a study had its seed."""
    return [{**r, "seed": r["study_seed"]} for r in read("cued_digits/results.csv")]


def quickstart(space: SearchSpace) -> list[dict[str, str]]:
    ended = [r for r in read("digits_quickstart/trials.csv") if r["status"] == "complete" and not r["repeats"]]
    return [{**r, "blocks": str(space.draw(lambda name, _, row=r: row[name]))} for r in ended]  # type: ignore[misc]


if __name__ == "__main__":
    main()
