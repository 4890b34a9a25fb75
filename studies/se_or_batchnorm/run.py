"""What is left of SE's gain where its gates are frozen to their means, which a batch norm could do as well?

    python studies/se_or_batchnorm/run.py            # 12 seeds a setting; Fashion-MNIST in data/ or Debian's package
    python studies/se_or_batchnorm/run.py --figure   # figure and table anew

Each network with SE is measured again on the test images: with each gate frozen to its mean over the training images;
so, and with the statistics of batch norm measured anew behind them; with the gates of another image of the batch; and
without gates.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from paired import (  # noqa: E402
    Arms,
    block,
    everywhere,
    half_width,
    mean,
    of,
    options_of,
    run,
    seeds_behind,
    settings,
    spoken,
)

from senas.core.interval import Interval, interval  # noqa: E402
from senas.core.site import Site  # noqa: E402
from senas.core.trial import Job  # noqa: E402
from senas.model.gates import gate_paths, instead, watched  # noqa: E402
from senas.training.norms import counting, norms_of  # noqa: E402
from senas.training.standalone import Standalone  # noqa: E402

FILE = HERE / "results.csv"
MADE = {
    "frozen": "gates frozen to their means",
    "recalibrated": "the same, batch norm measured anew",
    "shuffled": "gates of other images",
    "bypassed": "no gates",
}
Batches = Iterable[tuple[Tensor, Tensor]]


def arms(sites: Sequence[Site]) -> Arms:
    return {"none": everywhere(sites, lambda site: None), "se": everywhere(sites, block)}


def measured(evaluator: Standalone, job: Job, net: nn.Module) -> Mapping[str, float]:
    """Test losses of a network with SE as MADE says, and its gates' share of variance per image, a mean of sites."""
    if not job.config:
        return {}
    paths, data = gate_paths(evaluator.build(), job.config, evaluator.traced), evaluator.data
    means, shares = moments(net, paths, training(evaluator))
    test = list(data.test_dataloader())
    found = {"per_image": sum(shares.values()) / len(shares)}
    with instead(net, paths, means):
        found["frozen"] = loss(net, test)
    with instead(net, paths, dict.fromkeys(paths)):
        found["bypassed"] = loss(net, test)
    found["shuffled"] = shuffled(net, paths, test)
    with instead(net, paths, means):  # last, as it changes the network
        with torch.no_grad(), counting(norms_of(net)):
            for images, _ in training(evaluator):
                net(images)
        found["recalibrated"] = loss(net, test)
    return found


def training(evaluator: Standalone) -> Iterator[tuple[Tensor, Tensor]]:
    """The training images, in batches, as they are."""
    for chunk in evaluator.data.train_dataloader():
        yield from chunk.batches()


def moments(net: nn.Module, paths: Mapping[str, str], batches: Batches) -> tuple[dict[str, Tensor], dict[str, float]]:
    """By site: the gates' means (C,), and the share of their variance that is over images and not over channels."""
    with watched(net, paths) as seen, torch.no_grad():
        kept: dict[str, list[Tensor]] = {site: [] for site in paths}
        for images, _ in batches:
            net(images)
            for site in paths:
                kept[site].append(seen[site].gates)
    gates = {site: torch.cat(each) for site, each in kept.items()}
    within = {site: each.var(0, correction=0).mean() for site, each in gates.items()}
    between = {site: each.mean(0).var(correction=0) for site, each in gates.items()}
    return (
        {site: each.mean(0) for site, each in gates.items()},
        {site: float(within[site] / (within[site] + between[site])) for site in gates},
    )


def shuffled(net: nn.Module, paths: Mapping[str, str], batches: Batches) -> float:
    """The loss where each image is scaled by the gates that another one of its batch got in the network as it is.

    All blocks are given the gates of the same other image.
    """
    generator = torch.Generator().manual_seed(0)

    def hook(site: str) -> object:
        def scale(module: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
            return args[0] * others[site][:, :, None, None]

        return scale

    total = count = 0.0
    for images, labels in batches:
        with watched(net, paths) as seen, torch.no_grad():
            net(images)
        order = torch.randperm(len(images), generator=generator)
        others = {site: each.gates[order] for site, each in seen.items()}
        handles = [net.get_submodule(path).register_forward_hook(hook(site)) for site, path in paths.items()]
        with torch.no_grad():
            total += float(cross_entropy(net(images), labels, reduction="sum"))
        for handle in handles:
            handle.remove()
        count += len(labels)
    return total / count


def loss(net: nn.Module, batches: Batches) -> float:
    with torch.no_grad():
        sums = [(float(cross_entropy(net(images), labels, reduction="sum")), len(labels)) for images, labels in batches]
    return sum(each for each, _ in sums) / sum(count for _, count in sums)


def gap(setting: str, column: str, other: str = "none") -> Interval:
    """A column of the networks with SE minus the test loss of those without, or of themselves, seed by seed."""
    with_se, against = of(FILE, setting, "se", column), of(FILE, setting, other, "test_loss")
    return interval([with_se[seed] - against[seed] for seed in sorted(with_se.keys() & against.keys())])


def told() -> list[str]:
    lines = ["| images | network with SE | test loss | minus no SE | minus as it was trained |"]
    lines += ["| --- | --- | ---: | ---: | ---: |"]
    for setting in settings(FILE):
        for column, words in {"test_loss": "as it was trained", **MADE}.items():
            here = mean(FILE, setting, "se", column)
            own = "" if column == "test_loss" else spoken(gap(setting, column, "se"))
            lines.append(
                f"| {setting} | {words} | {here.mean:.4f} (sd {here.sd:.4f}) | {spoken(gap(setting, column))} | {own} |"
            )
        share = mean(FILE, setting, "se", "per_image")
        range_of = f"{share.mean:.0%} ({share.low:.0%} to {share.high:.0%})"
        lines.append(f"| {setting} | variance of gates that is per image | {range_of} | | |")
    return lines


def draw() -> None:
    found = list(settings(FILE))
    figure, panels = plt.subplots(
        1, len(found), figsize=(5 * len(found), 2.4), squeeze=False, sharey=True, layout="constrained"
    )
    names = {"test_loss": "as it was trained", **MADE}
    del names["bypassed"]  # far off, and no answer to the question
    for panel, setting in zip(panels[0], found, strict=True):
        for place, column in enumerate(names):
            here = gap(setting, column)
            panel.errorbar(here.mean, -place, xerr=half_width(here), fmt="o", color="#1f6feb", capsize=2)
        panel.axvline(0, color="#8c959f", linewidth=1)
        panel.locator_params(axis="x", nbins=5)
        panel.set_yticks([-place for place in range(len(names))], list(names.values()))
        panel.set_xlabel("test loss minus no SE, nats")
        panel.set_title(f"{setting}, {seeds_behind(FILE, setting)} seeds", fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "figure.png", dpi=130)


if __name__ == "__main__":
    run(options_of(__doc__), arms, FILE, measured)
    print("\n".join(told()))
    draw()
