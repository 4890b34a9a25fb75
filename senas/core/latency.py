"""Latency: how it is measured, and what came out. Values without tensors."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from senas.core.certainty import LEVEL, Estimate
from senas.errors import ConfigError

RUNTIMES = ("eager", "compile", "onnx")
DEVICES = ("cpu", "cuda")
SPREAD = "latency_spread_ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a forward pass takes, and on what: in eval(), without gradients, in float32.

    runtime:     eager PyTorch, torch.compile, or onnx: ONNX Runtime on the CPU.
    device:      cpu or cuda.
    batch_size:  images at once; a latency is of the whole batch.
    threads:     of the CPU.
    repeats:     forward passes, each timed by itself.
    hardware:    the name of what it runs on; empty where that is not known yet.
    """

    runtime: str = "eager"
    device: str = "cpu"
    batch_size: int = 1
    threads: int = 1
    repeats: int = 30
    hardware: str = ""

    def __post_init__(self) -> None:
        if self.runtime not in RUNTIMES:
            raise ConfigError(f'latency.runtime must be one of {", ".join(RUNTIMES)}, got "{self.runtime}"')
        if self.device not in DEVICES:
            raise ConfigError(f'latency.device must be one of {", ".join(DEVICES)}, got "{self.device}"')
        for key in ("batch_size", "threads", "repeats"):
            if getattr(self, key) < 1:
                raise ConfigError(f"latency.{key} must be at least 1, got {getattr(self, key)}")
        if self.runtime == "onnx" and self.device != "cpu":
            raise ConfigError(
                f"latency.runtime=onnx measures on the CPU, got latency.device={self.device}; latency=gpu is eager"
            )

    def plain(self) -> dict[str, Any]:
        """As plain texts and numbers, for YAML."""
        return asdict(self)

    @property
    def words(self) -> str:
        """For people: `eager on AMD EPYC 7763, batch of 1, 1 thread, 30 repeats`."""
        threads = f", {self.threads} thread{'s' * (self.threads > 1)}" if self.device == "cpu" else ""
        return f"{self.runtime} on {self.hardware or self.device}, batch of {self.batch_size}{threads}, " + (
            f"{self.repeats} repeat{'s' * (self.repeats > 1)}"
        )


@dataclass(frozen=True, slots=True)
class Latency:
    """What forward passes took, in milliseconds each."""

    timing: Timing
    times_ms: Sequence[float] = field(repr=False)

    @property
    def median_ms(self) -> float:
        return float(np.median(self.times_ms))

    @property
    def quartiles_ms(self) -> tuple[float, float]:
        """A quarter of the passes were faster than the first, a quarter slower than the second."""
        low, high = np.percentile(self.times_ms, (25, 75))
        return float(low), float(high)

    @property
    def scores(self) -> Mapping[str, float]:
        """The median, and how far the quartiles lie apart."""
        low, high = self.quartiles_ms
        return {"latency_ms": self.median_ms, SPREAD: high - low}

    def times_as_long(self, other: "Latency") -> tuple[float, float, float]:
        """The median and the quartiles of how much longer it takes than one that it took turns with, pass by pass."""
        ratios = np.divide(self.times_ms, other.times_ms)
        low, median, high = np.percentile(ratios, (25, 50, 75))
        return float(median), float(low), float(high)

    def longer_than(self, other: "Latency") -> Estimate:
        """The median of how many milliseconds longer it takes than one that it took turns with, pass by pass.

        The interval is between two of the differences, so far out that, whatever their distribution, the true median
        lies between them with LEVEL; everything where there are too few passes for that.
        """
        apart = np.sort(np.subtract(self.times_ms, other.times_ms))
        count, tail, rank = len(apart), 0.0, 0
        while (tail := tail + math.comb(count, rank) / 2**count) <= (1 - LEVEL) / 2:
            rank += 1  # P(fewer than `rank` of them are below the true median) is small enough
        if not rank:
            return Estimate(float(np.median(apart)), -math.inf, math.inf)
        return Estimate(float(np.median(apart)), float(apart[rank - 1]), float(apart[-rank]))

    def __str__(self) -> str:
        low, high = self.quartiles_ms
        return f"{self.median_ms:.4g} ms ({low:.4g} to {high:.4g})"
