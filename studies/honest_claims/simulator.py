"""A made-up truth to check claims against: what configurations are really worth, and trainings that show it with noise.

Nine sites in three stages, seven options each (none, or r = 4, 16 at standard, pre, post): 40,353,607 configurations.
The truth is none that the effects model assumes: sites differ by a skewed distribution and some are harmful, an
option's worth is a product and not a sum, and, where asked for, blocks interact across the whole network, or noise is
heavy-tailed, or larger for configurations with more blocks. Sizes are what was measured on Fashion-MNIST with
ResNet-20, 6 epochs.
"""

import math
from itertools import combinations

import numpy as np

from senas.core.block import Placement
from senas.core.config import SEConfig
from senas.core.site import Place, Site
from senas.core.space import Axes, search_space

KINDS = ("plain", "interactions", "heavy tails", "unequal noise")
SPREAD = 0.0023
"""Standard deviation of the true losses over the space, in nats."""
NOISE = 0.0097
"""Standard deviation of a training's validation loss within a configuration, without the shared effect of the seed."""
SEED_EFFECT = 0.0062
"""Standard deviation of what a seed does to all configurations alike: with NOISE it makes 0.0115."""
CENTRE = 0.5
PLACEMENTS = (Placement.STANDARD, Placement.PRE, Placement.POST)


def _sites() -> tuple[Site, ...]:
    places = [Place(16 * 2**stage, 32 >> stage, 32 >> stage) for stage in range(3)]
    return tuple(
        Site(f"layer{stage + 1}.{unit}", dict.fromkeys(PLACEMENTS, places[stage]), places[stage])
        for stage in range(3)
        for unit in range(3)
    )


SPACE = search_space(_sites(), Axes(reduction=(4, 16), placement=PLACEMENTS))
NAMES = [choice.name for choice in SPACE.choices]
OPTIONS = list(SPACE.choices[0].options)


class Truth:
    """One truth.

    kind:   one of KINDS.
    noise:  factor on all noise.
    """

    def __init__(self, kind: str, noise: float, rng: np.random.Generator) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind}")
        self.kind, self.rng = kind, rng
        self.noise, seed_effect = NOISE * noise, SEED_EFFECT * noise
        importance = rng.gamma(1.0, 1.0, len(NAMES)) * rng.choice([1.0, -0.5], len(NAMES), p=[0.7, 0.3])
        placement = {"standard": 1.0, "pre": rng.uniform(0.3, 1.2), "post": rng.uniform(-0.5, 1.0)}
        width = {"r4": 1.0, "r16": rng.uniform(0.5, 1.1)}
        self._worth = {(name, "none"): 0.0 for name in NAMES}
        for name, weight in zip(NAMES, importance, strict=True):
            for option in OPTIONS[1:]:
                ratio, where = option.split()
                self._worth[name, option] = -weight * placement[where] * width[ratio] * rng.uniform(0.7, 1.3)
        strength = 0.5 if kind == "interactions" else 0.0
        self._pairs = {pair: rng.normal(0, strength) for pair in combinations(range(len(NAMES)), 2)}
        self._crowding = 0.06 if kind == "interactions" else 0.0
        self._seeds = rng.normal(0, seed_effect, 400)
        drawn = np.array([self._raw(self.draw()) for _ in range(1000)])
        self._shift, self._scale = drawn.mean(), SPREAD / drawn.std()

    def draw(self) -> SEConfig:
        """A configuration, each as likely as any other."""
        return SPACE.draw(lambda _, options: options[int(self.rng.integers(len(options)))])

    def loss(self, config: SEConfig) -> float:
        """The true loss: the mean over all seeds."""
        return CENTRE + float((self._raw(config) - self._shift) * self._scale)

    def train(self, config: SEConfig, seed: int) -> float:
        """The loss that one training shows."""
        noise = self.noise * (0.5 + len(config) / len(NAMES) if self.kind == "unequal noise" else 1.0)
        of_variance_1 = self.rng.standard_t(3) / math.sqrt(3) if self.kind == "heavy tails" else self.rng.normal()
        return self.loss(config) + float(self._seeds[seed]) + float(noise * of_variance_1)

    def _raw(self, config: SEConfig) -> float:
        options = SPACE.encode(config)
        on = [n for n, name in enumerate(NAMES) if options[name] != "none"]
        apart = sum(self._worth[name, option] for name, option in options.items())
        return apart + sum(self._pairs[pair] for pair in combinations(on, 2)) + self._crowding * len(on) ** 2
