"""SE (r = 4, standard) in one stage, in two, in all: which stages profit, and do gates follow the cue of cued digits?

python studies/where_it_pays/run.py            # 12 seeds a setting; Fashion-MNIST in data/ or Debian's package
python studies/where_it_pays/run.py --figure   # figure and tables anew
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from paired import Arms, block, difference, everywhere, forest, mean, options_of, run, settings, spoken  # noqa: E402

from senas.core.site import Site  # noqa: E402
from senas.core.trial import Job  # noqa: E402
from senas.model.gates import gate_paths, watched  # noqa: E402
from senas.training.standalone import Standalone  # noqa: E402

FILE = HERE / "results.csv"
STAGES = {"none": (), "1": (1,), "2": (2,), "3": (3,), "1+2": (1, 2), "2+3": (2, 3), "all": (1, 2, 3)}


def arms(sites: Sequence[Site]) -> Arms:
    """By the stages that have blocks, of networks whose stages are layer1 to layer3."""
    return {
        name: everywhere(sites, lambda site, some=some: block(site) if int(site.name[5]) in some else None)
        for name, some in STAGES.items()
    }


def follows(evaluator: Standalone, job: Job, net: nn.Module) -> Mapping[str, float]:
    """How often the cued channel of a test image is told by the gates of each stage, a third being chance.

    By the nearest mean (in units of the spread) of the gates of the first half of the images, measured on the others.
    On images of one channel, where nothing is cued: nothing.
    """
    if not job.config or evaluator.data.shape[0] != 3:
        return {}
    paths = gate_paths(evaluator.build(), job.config, evaluator.traced)
    gates: dict[str, list[Tensor]] = {site: [] for site in paths}
    cued = []
    with watched(net, paths) as seen, torch.no_grad():
        for images, _ in evaluator.data.test_dataloader():
            net(images)
            cued.append(images[:, :, 0].mean(2).argmax(1))
            for site in paths:
                gates[site].append(seen[site].gates)
    where = torch.cat(cued)
    return {f"cue_told_{int(site[5])}": nearest_mean(torch.cat(each), where) for site, each in gates.items()}


def nearest_mean(gates: Tensor, where: Tensor) -> float:
    """(N, C) gates and (N,) channels: the share of the second half that is told right."""
    half = len(gates) // 2
    scaled = (gates - gates[:half].mean(0)) / gates[:half].std(0).clamp_min(1e-6)
    means = torch.stack([scaled[:half][where[:half] == channel].mean(0) for channel in range(3)])
    return float((torch.cdist(scaled[half:], means).argmin(1) == where[half:]).float().mean())


def told() -> list[str]:
    lines = [
        "| images | SE in stages | test loss | minus no SE | minus SE in all | test accuracy | cue told by gates |"
    ]
    lines += ["| --- | --- | ---: | ---: | ---: | ---: | --- |"]
    for setting in settings(FILE):
        for arm, some in STAGES.items():
            loss, accuracy = (mean(FILE, setting, arm, column) for column in ("test_loss", "test_accuracy"))
            others = {"none": (), "all": ("none",)}.get(arm, ("none", "all"))
            gaps = [spoken(difference(FILE, setting, arm, other)) for other in others] + [""] * (2 - len(others))
            cue = ""
            if setting == "cued_digits":
                cue = ", ".join(f"{stage}: {mean(FILE, setting, arm, f'cue_told_{stage}').mean:.0%}" for stage in some)
            cells = (setting, arm, f"{loss.mean:.4f} (sd {loss.sd:.4f})", *gaps, f"{accuracy.mean:.2%}", cue)
            lines.append(f"| {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    run(options_of(__doc__), arms, FILE, follows)
    print("\n".join(told()))
    forest(FILE, [(arm, "none") for arm in STAGES if arm != "none"], HERE / "figure.png", "test loss minus no SE, nats")
