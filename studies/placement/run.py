"""SE everywhere at r = 4, at each placement of the SE paper, with the same seeds: results.csv, figure.png, the table.

python studies/placement/run.py                    # 12 seeds a setting; Fashion-MNIST in data/ or Debian's package
python studies/placement/run.py --seeds 20         # goes on
python studies/placement/run.py --figure           # figure and table anew
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from paired import Arms, block, difference, everywhere, forest, mean, options_of, run, settings, spoken  # noqa: E402

from senas.core.block import Placement  # noqa: E402
from senas.core.site import Site  # noqa: E402

FILE = HERE / "results.csv"
PLACEMENTS = (Placement.STANDARD, Placement.PRE, Placement.POST, Placement.IDENTITY, Placement.INNER)


def arms(sites: Sequence[Site]) -> Arms:
    """No SE, and a block at every site."""
    return {"none": everywhere(sites, lambda site: None)} | {
        str(placement): everywhere(sites, partial(block, placement=placement)) for placement in PLACEMENTS
    }


def told() -> list[str]:
    lines = ["| images | placement | test loss | minus no SE | minus standard | test accuracy |"]
    lines += ["| --- | --- | ---: | ---: | ---: | ---: |"]
    for setting in settings(FILE):
        for arm in ("none", *map(str, PLACEMENTS)):
            loss, accuracy = (mean(FILE, setting, arm, column) for column in ("test_loss", "test_accuracy"))
            others = {"none": (), "standard": ("none",)}.get(arm, ("none", "standard"))
            gaps = [spoken(difference(FILE, setting, arm, other)) for other in others] + [""] * (2 - len(others))
            cells = (setting, arm, f"{loss.mean:.4f} (sd {loss.sd:.4f})", *gaps, f"{accuracy.mean:.2%}")
            lines.append(f"| {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    run(options_of(__doc__), arms, FILE)
    print("\n".join(told()))
    pairs = [(str(placement), "none") for placement in PLACEMENTS]
    forest(FILE, pairs, HERE / "figure.png", "test loss minus that of no SE, nats")
