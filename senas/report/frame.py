"""Trials as a pandas DataFrame, for notebooks."""

from collections.abc import Mapping, Sequence

import pandas as pd

from senas.core.config import spoken_block
from senas.core.objective import Scores
from senas.core.site import Site
from senas.core.trial import Trial


def trials_frame(
    trials: Sequence[Trial],
    sites: Sequence[Site],
    estimates: Mapping[int, Scores] | None = None,
    **marks: Sequence[int],
) -> pd.DataFrame:
    """One row a trial, indexed by its number: its scores, what each site has, and how it came about.

    estimates:  what is known of configurations, by the number of the first trial that trained each.
    marks:      columns of true and false, by name: the numbers of the trials that are true.
    """
    rows = [
        {
            **{f"{name}": trial.number in numbers for name, numbers in marks.items()},
            "configuration": trial.config.words(sites),
            **(estimates or {}).get(trial.number, {}),
            **trial.scores,
            **{
                site.name: spoken_block(trial.config[site.name], site) if site.name in trial.config else "none"
                for site in sites
            },
            "status": str(trial.status),
            "seed": trial.seed,
            "epochs": len(trial.curve),
            "seconds": trial.seconds,
            "origin": trial.origin,
            "sampler": trial.sampler,
            "repeats": trial.repeats,
        }
        for trial in trials
    ]
    frame = pd.DataFrame(rows, index=pd.Index([trial.number for trial in trials], name="trial"))
    if "repeats" in frame:
        frame["repeats"] = frame["repeats"].astype("Int64")
    return frame
