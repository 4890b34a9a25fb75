"""SE behind a ReLU and before it, inside the residual branch and behind the addition, trained with the same seeds.

python studies/gate_order/trained.py            # 12 seeds a setting; Fashion-MNIST in data/ or Debian's package
python studies/gate_order/trained.py --figure   # figure and table anew

Both orders have the same parameters, and for one gate give the same output; what differs is what their squeezes see.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from paired import Arms, block, difference, everywhere, forest, half_width, mean, options_of, run, settings, spoken  # noqa: E402

from senas.core.block import Placement  # noqa: E402
from senas.core.site import Site  # noqa: E402

FILE = HERE / "trained.csv"
ORDERS = {Placement.INNER_BEFORE_RELU: Placement.INNER, Placement.POST_BEFORE_RELU: Placement.POST}
"""The gate before the ReLU, and behind the same one."""


def arms(sites: Sequence[Site]) -> Arms:
    """No SE, and r = 4 at every site in each order."""
    both = [placement for pair in ORDERS.items() for placement in pair]
    return {"none": everywhere(sites, lambda site: None)} | {
        str(placement): everywhere(sites, partial(block, placement=placement)) for placement in both
    }


def told() -> list[str]:
    lines = ["| images | placement | test loss | minus no SE | minus behind that ReLU | half-width | test accuracy |"]
    lines += ["| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    behind = {str(before): str(after) for before, after in ORDERS.items()}
    for setting in settings(FILE):
        for arm in ("none", *(each for pair in behind.items() for each in pair)):
            loss, accuracy = (mean(FILE, setting, arm, column) for column in ("test_loss", "test_accuracy"))
            gain = spoken(difference(FILE, setting, arm, "none")) if arm != "none" else ""
            cells = [setting, arm, f"{loss.mean:.4f} (sd {loss.sd:.4f})", gain, "", "", f"{accuracy.mean:.2%}"]
            if arm in behind:
                apart = difference(FILE, setting, arm, behind[arm])
                cells[4:6] = spoken(apart), f"{half_width(apart):.4f}"
            lines.append(f"| {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    run(options_of(__doc__), arms, FILE)
    print("\n".join(told()))
    pairs = [(str(before), str(behind)) for before, behind in ORDERS.items()]
    forest(FILE, pairs, HERE / "trained.png", "test loss, before minus behind, nats")
