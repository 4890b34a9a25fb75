"""No SE, and both gates everywhere at r = 4 and 16, with the same seeds: results.csv, trained.png, the table.

    python studies/global_or_local/run.py            # 12 seeds a setting; Fashion-MNIST in data/ or Debian's package
    python studies/global_or_local/run.py --figure   # figure and table anew

A seed draws the weights of the backbone and of the blocks, and the order of images: both gates of a ratio start alike.
"""

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from gates import GATES, everywhere  # noqa: E402
from paired import Arms, difference, forest, half_width, mean, options_of, run, settings, spoken  # noqa: E402

from senas.core.config import SEConfig  # noqa: E402
from senas.core.site import Site  # noqa: E402

FILE = HERE / "results.csv"
REDUCTIONS = (4, 16)


def arms(sites: Sequence[Site]) -> Arms:
    """No SE, and either gate everywhere at each ratio."""
    both = itertools.product(REDUCTIONS, GATES)
    return {"none": SEConfig({site.name: None for site in sites})} | {
        f"{gate} r{r}": everywhere(sites, gate, r) for r, gate in both
    }


def pairs() -> list[tuple[str, str]]:
    """What is compared: local with global, and each with none."""
    found = []
    for r in REDUCTIONS:
        found += [(f"{gate} r{r}", "none") for gate in GATES]
        found.append((f"local r{r}", f"global r{r}"))
    return found


def told() -> list[str]:
    lines = ["| images | difference | test loss | half-width | test accuracy of the first |"]
    lines += ["| --- | --- | ---: | ---: | ---: |"]
    for setting in settings(FILE):
        for one, other in pairs():
            gap, accuracy = difference(FILE, setting, one, other), mean(FILE, setting, one, "test_accuracy")
            cells = (setting, f"{one} - {other}", spoken(gap), f"{half_width(gap):.4f}", f"{accuracy.mean:.2%}")
            lines.append(f"| {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    run(options_of(__doc__), arms, FILE)
    print("\n".join(told()))
    forest(FILE, pairs(), HERE / "trained.png", "difference of test loss, nats")
