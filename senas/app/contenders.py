"""What `senas train` is to train: which SE configurations, on which backbone and data, with which seeds."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from senas.app.bench import bench, found_again
from senas.app.checks import backbone as backbone_of
from senas.app.checks import init
from senas.app.fingerprint import contents_of, digest, setting_of
from senas.app.paths import StudyFolder
from senas.app.schema import BackboneConfig, TrainConfig
from senas.app.taken_over import backbone_for, data_for, data_of
from senas.core.address import hidden
from senas.core.block import Gate, Init
from senas.core.comparison import Comparison, LossOnTest
from senas.core.config import BASELINES, SEConfig, baselines, usual_gate
from senas.core.site import Site
from senas.core.trial import Trial
from senas.errors import ConfigError, StudyError
from senas.exported.package import Exported, read
from senas.model.sites import Traced
from senas.training.data import Images
from senas.training.standalone import Standalone

UNSPLIT = {"train", "download"}
"""Options of data that move no image from one part to the test part."""


@dataclass(frozen=True, slots=True)
class Training:
    """The parts of one comparison of trainings.

    source:  the data's options, as they were given or found.
    initial: the initial weights, in words; "" where they are drawn.
    unseen:  whether the searches that found the configurations are known not to have seen the test images.
    """

    config: TrainConfig
    folder: StudyFolder
    fingerprint: Mapping[str, object]
    data: Images
    source: Mapping[str, Any]
    unseen: bool
    traced: Traced
    evaluator: Standalone
    contenders: Mapping[str, SEConfig]
    backbone: BackboneConfig
    notes: Sequence[str]
    initial: str

    @property
    def tested_on(self) -> str:
        """The test images, in words that claim no more than is known."""
        return f"{self.data.counts.test:,} test images{' that no search saw' if self.unseen else ''}"

    @property
    def sites(self) -> tuple[Site, ...]:
        return self.traced.sites

    def comparison(self, trials: list[Trial], others: Collection[int] = ()) -> Comparison:
        return Comparison(
            trials=trials,
            objective=LossOnTest(),
            classes=len(self.data.classes),
            largest_params=max(config.params(self.sites) for config in self.contenders.values()),
            contenders=self.contenders,
            others=others,
        )

    @property
    def jobs(self) -> list[tuple[SEConfig, int]]:
        """Seed by seed, so that a comparison that is broken off has pairs."""
        seeds = range(self.config.first_seed, self.config.first_seed + self.config.seeds)
        return [(config, seed) for seed in seeds for config in self.contenders.values()]

    def resolved(self) -> dict[str, Any]:
        """The whole configuration, as it runs."""
        weights = {"weights": found_again(self.backbone.weights)} if self.backbone.weights else {}
        return {
            **asdict(self.config),
            "name": self.folder.name,
            "data": dict(self.source),
            "backbone": {**backbone_of(self.backbone).plain(), **weights},
            "contenders": {name: se.plain() for name, se in self.contenders.items()},
        }

    def shown(self) -> dict[str, Any]:
        """`resolved`, with the password in MLflow's address hidden."""
        plain = self.resolved()
        if uri := plain["tracking"]["uri"]:
            plain["tracking"]["uri"] = hidden(uri)
        return plain


def training_of(config: TrainConfig) -> Training:
    """Everything the trainings need. Writes nothing; mistakes end here."""
    wanted = _names("se", config.se) + [name for name in config.against if name not in _names("se", config.se)]
    exports = [name for name in wanted if name not in BASELINES]
    if missing := [name for name in exports if not Path(name).exists()]:
        key = "against" if missing[0] in config.against else "se"
        raise ConfigError(f'{key}: there is no "{missing[0]}"; it takes {", ".join(BASELINES)}, and what was exported')
    exported = {name: read(name) for name in exports}
    backbone, notes = backbone_for(config, exported)
    data = data_for(config.data, Path(config.root), config.trust, exported)
    images, builder, traced, evaluator = bench(backbone, data, config.trainer)
    images.test_dataloader()  # raises where there are no test images
    contenders, more = _contenders(wanted, exported, traced.sites, _usual_gate(config, exported))
    notes = [*images.remarks, *builder.remarks, *notes, *more]
    seeds = range(config.first_seed, config.first_seed + config.seeds)
    for name, package in exported.items():
        if package.is_folded:
            notes.append(f"{name} is folded: what is trained, from scratch, is the configuration that is left of it")
        if same := [seed for seed in _seeds_behind(package) if seed in seeds]:
            notes.append(
                f"{name} was chosen with seeds that are among these ({', '.join(map(str, same))}): it looks better "
                "with them than it is; another first_seed would not do that"
            )
    parts = {"data": data, "trainer": asdict(config.trainer)}
    fingerprint = {**setting_of(parts, backbone), **contents_of(images, builder)}
    folder = StudyFolder(
        Path(config.root), config.name or f"train-{data['name']}-{backbone.name}-{digest(fingerprint)[:6]}"
    )
    if folder.config.exists():
        raise StudyError(f"name: {folder.path} holds a study of senas search; give another name")
    return Training(
        config=config,
        folder=folder,
        fingerprint=fingerprint,
        data=images,
        source=data,
        unseen=_unseen(config, data, exported),
        traced=traced,
        evaluator=evaluator,
        contenders=contenders,
        backbone=backbone,
        notes=notes,
        initial=builder.initial,
    )


def _seeds_behind(package: Exported) -> list[int]:
    """Every seed that the search which chose the configuration had trained with, as far as its file tells."""
    seeds = package.provenance.get("seeds")
    told = [*(seeds if isinstance(seeds, list) else []), package.provenance.get("seed")]
    return sorted({seed for seed in told if type(seed) is int})


def _names(key: str, given: Any) -> list[str]:
    names = given if isinstance(given, list) else [given]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"{key} must be an exported folder, none, all16, or a list of these, got {given}")
    return list(dict.fromkeys(names))


def _unseen(config: TrainConfig, data: Mapping[str, Any], packages: Mapping[str, Exported]) -> bool:
    """Whether the configurations were found on these very data, split as here: then the test part was left out."""
    try:
        found = [data_of(Path(config.root), package) for package in packages.values()]
    except ConfigError:
        return False
    same = [all(data.get(key) == each.get(key) for key in {*data, *each} - UNSPLIT) for each in found]
    return bool(same) and all(same)


def _contenders(
    wanted: Sequence[str], packages: Mapping[str, Exported], sites: tuple[Site, ...], gate: Gate
) -> tuple[dict[str, SEConfig], list[str]]:
    """SE configurations by the name they are shown under, baselines first; equal ones once, and what is to be said."""
    known = baselines(sites, gate)
    contenders: dict[str, SEConfig] = {}
    notes = []
    ranks = {name: rank for rank, name in enumerate(BASELINES)}
    for name in sorted(wanted, key=lambda name: ranks.get(name, len(BASELINES))):
        if name in BASELINES and name not in known:
            raise ConfigError(f"{name}: this backbone came without SE blocks, or keeps them: backbone.strip_se=true")
        config = known[name] if name in known else packages[name].config
        config.params(sites)  # raises where the backbone has not these sites, or not these placements
        label = name if name in known else _label(name, contenders)
        if label not in (name, _plain_name(name)):
            notes.append(f"{label} is {name}")
        if same := next((other for other in contenders if contenders[other] == config), None):
            notes.append(f"{label} is the same configuration as {same}: trained once, shown as {same}")
        else:
            contenders[label] = config
    return contenders, notes


def _usual_gate(config: TrainConfig, packages: Mapping[str, Exported]) -> Gate:
    """The gate of all16: that of the configurations it is compared with, unless it is to begin as the identity."""
    if init(config.init) is Init.IDENTITY:
        return Gate.TWICE_SIGMOID
    return usual_gate([gate for package in packages.values() for gate in package.config.gates])


def _label(name: str, taken: Mapping[str, SEConfig]) -> str:
    """The name of its folder; numbered where another is called so. A folder can be named by it."""
    plain = _plain_name(name)
    labels = (plain, *(f"{plain}-{number}" for number in range(2, len(taken) + 3)))
    return next(label for label in labels if label not in (*taken, *BASELINES))


def _plain_name(name: str) -> str:
    path = Path(name)
    return (path.parent if path.is_file() else path).resolve().name or "exported"
