"""The proposer that searches nothing: a fixed list of trainings, remembered in a file of lines.

One line a training that ended, appended and synced before anything else hears of it. The list may grow from one run to
the next: what is there already is not trained again.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from senas.core.config import SEConfig
from senas.core.objective import Scores
from senas.core.trial import Failure, Status, Trial, Wanted
from senas.errors import SpaceError, StudyError

RESULTS = "results.jsonl"
"""What the file is called, in the folder of the trainings."""


@dataclass(slots=True, kw_only=True)
class Schedule:
    """Implements `senas.core.ports.Proposer` for a list of (SE configuration, seed), in order.

    file:         made when the first training ends; its first line is `fingerprint`.
    fingerprint:  what must not change while the file lives, by dotted key.

    Raises StudyError for a file of other trainings, or one that cannot be read.
    """

    file: Path
    jobs: Sequence[tuple[SEConfig, int]]
    fingerprint: Mapping[str, object]
    done: list[Trial] = field(init=False)
    asked: list[Trial] = field(default_factory=list)  # and not told

    def __post_init__(self) -> None:
        self.done = self._read()

    def trials(self) -> list[Trial]:
        """Those of the list that ended. The file may hold others, of an earlier list."""
        wanted = set(self.jobs)
        return [trial for trial in self.done if (trial.config, trial.seed) in wanted]

    def ask(self) -> Trial:
        there = [*self.done, *self.asked]
        begun = {(trial.config, trial.seed) for trial in there}
        config, seed = next(job for job in self.jobs if job not in begun)
        number = 1 + max((trial.number for trial in there), default=-1)
        self.asked.append(
            Trial(
                number=number, status=Status.RUNNING, config=config, seed=seed, started=time.time(), origin="schedule"
            )
        )
        return self.asked[-1]

    def ask_untried(self) -> Trial:
        raise SpaceError("a fixed list of trainings has no untried ones")

    def ask_for(self, wanted: Wanted) -> Trial:
        raise SpaceError("a fixed list of trainings takes no others")

    def unfinished(self) -> list[Wanted]:
        return []

    def report(self, trial: Trial, epoch: int, scores: Scores) -> bool:
        return False

    def tell(self, trial: Trial) -> None:
        begun = self.file.exists() and self.file.stat().st_size
        lines = [] if begun else [json.dumps({"fingerprint": self.fingerprint})]
        lines.append(json.dumps(_plain(trial)))
        with self.file.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        self.done.append(trial)
        self.asked = [asked for asked in self.asked if asked.number != trial.number]

    def _read(self) -> list[Trial]:
        if not self.file.exists():
            return []
        try:
            whole, _, torn = self.file.read_text().rpartition("\n")
            if torn:  # the power went while it was written: its training is done again
                mended = self.file.with_name(f"{self.file.name}.partial")
                mended.write_text(f"{whole}\n" if whole else "")
                mended.replace(self.file)  # whole or not at all: these are hours of training
            if not whole:
                return []
            first, *lines = [json.loads(line) for line in whole.splitlines()]
            known = first["fingerprint"]
            trials = [_trial(line) for line in lines]
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(f"{self.file} cannot be read as results of trainings; move it away") from error
        wanted = json.loads(json.dumps(self.fingerprint))
        if differ := [key for key in sorted({*known, *wanted}) if known.get(key) != wanted.get(key)]:
            key = differ[0]
            raise StudyError(
                f"{self.file.parent} holds other trainings: {key} is {known.get(key)}, you ask for {wanted.get(key)}; "
                "give another name"
            )
        return trials


def _plain(trial: Trial) -> dict[str, Any]:
    return {**asdict(trial), "config": str(trial.config)}


def _trial(plain: dict[str, Any]) -> Trial:
    failure = plain["failure"]
    return Trial(
        **{
            **plain,
            "config": SEConfig.parse(plain["config"]),
            "status": Status(plain["status"]),
            "failure": None if failure is None else Failure(failure),
            "values": tuple(plain["values"]),
            "curve": tuple(plain["curve"]),
        }
    )
