"""How long each SE block of a trained network takes, beside what it does."""

import time
from dataclasses import replace
from typing import Any

from senas.app.bench import stopwatches
from senas.core.certainty import Estimate
from senas.core.config import SEConfig
from senas.core.explained import Explained
from senas.core.latency import Timing
from senas.model.gates import without
from senas.model.latency import WARM_UP_RUNS, WARM_UP_SECONDS
from senas.report.console import Terminal
from senas.training.standalone import Standalone


def timed(
    terminal: Terminal, own: Standalone, config: SEConfig, net: Any, found: Explained, timing: Timing, within: float
) -> Explained:
    """What was found, with how much longer a pass takes with each block than without.

    The network as it is takes turns with one that lacks the block.
    own:     whose network `net` is, with this configuration, on the CPU.
    within:  seconds that it may take in all; where it would take more, that is said, and nothing is timed.
    """
    paths, example = own.paths(config), own.data.shape
    pairs = [[removal.site] for removal in found.removals] + ([list(paths)] if found.together else [])
    begin = time.monotonic()
    (once,) = stopwatches([net], example=example, timing=replace(timing, repeats=1))
    ready = WARM_UP_SECONDS if timing.runtime == "eager" else time.monotonic() - begin  # it may have to be compiled
    seconds = 2 * len(pairs) * (ready + (WARM_UP_RUNS + timing.repeats) * once.median_ms / 1000)
    if seconds > within:
        terminal.say(
            f"blocks are not timed: it would take some {seconds:.0f} s; latency_within={seconds * 2:.0f} does it"
        )
        return found
    longer: list[Estimate] = []
    for sites in pairs:
        bare = without(net, paths, sites)
        with_it, without_it = stopwatches([net, bare], example=example, timing=timing)
        longer.append(with_it.longer_than(without_it))
    terminal.say(
        f"blocks are timed {replace(once.timing, repeats=timing.repeats).words}, in turn with none", style="dim"
    )
    removals = tuple(replace(r, latency_ms=ms) for r, ms in zip(found.removals, longer, strict=False))
    return replace(
        found,
        removals=removals,
        together=found.together and replace(found.together, latency_ms=longer[-1]),
    )
