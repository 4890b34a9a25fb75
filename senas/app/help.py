"""What `--help` prints. Reads the config files as text, and imports no library: it has to be there at once."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from senas.app.nearest import naturally
from senas.app.paths import conf_dir

ABOUT = (
    "senas finds which layers of a CNN should get Squeeze-and-Excitation blocks, how narrow, and where each gate sits."
)

WIDTH = 118
EXAMPLES = {
    "search": """\
  senas search                                         digits, a small residual network, 24 trials: about a minute
  senas search study.trials=48                         the same study goes on to 48 trials
  senas search data=fashion_mnist backbone=resnet20 objective=pareto study.trials=100 trainer.epochs=5
  senas search +experiment=fashion_mnist_two_cores     a set of overrides from conf/experiment/
  senas search data=image_folder data.root=photos      images of your own, a folder a class
  senas search data=custom data.target=mypkg.data:My   a LightningDataModule of your own
  senas search objective.metric=mypkg.metrics:f1       a metric of your own
  senas search space.constraints.params=76e3           nothing larger is trained; also macs, se_params, latency_ms
  senas search objective=pareto objective.metrics=[val_loss,latency_ms]   latency is measured before each training
  senas search study.audit=true audit.configs=8 study.start=[none,all16,theory]   starts where theory puts the ratios
  senas search --multirun objective.penalty=0.02,0.1   one study for each""",
    "resume": """\
  senas resume study.name=NAME                         after a stop, without its settings being said again
  senas resume study.name=NAME study.confirm=24        contenders are trained again until there are 24 replicates
  senas resume study.name=NAME study.trials=48         it goes on to 48 trials""",
    "audit": """\
  senas audit                                          6 configurations x 4 seeds: can they be told apart?
  senas audit data=cued_digits audit.configs=8 audit.seeds=6
  senas audit audit.full=true                          does the ranking hold at full length? takes 4 times as long
  senas search study.audit=true                        the same before a search, which then goes on""",
    "front": """\
  senas front study.name=NAME                          as it is
  senas front study.name=NAME objective.penalty=0.02   what another penalty would recommend; nothing is trained
  senas front study.name=NAME pick=smallest study.margin=0.02""",
    "effects": """\
  senas effects study.name=NAME                        which places profit from SE, and how sure that is""",
    "report": """\
  senas report study.name=NAME                         report.html in its folder: open it, print it, send it
  senas report study.name=NAME pick=budget:500         of another pick; study.margin=0.02: by another margin
  senas report study.name=NAME gates=false             without a look into its gates; latency_within=0: untimed""",
    "explain": """\
  senas explain study.name=NAME                        what its gates do image by image, and what a constant would cost
  senas explain study.name=NAME pick=trial:7           of another trial
  senas explain se=exported/NAME                       of an export, on the data of its study
  senas explain se=DIR data=fashion_mnist accelerator=cpu latency_within=0""",
    "train": """\
  senas train se=exported/NAME                         five seeds of it, of no SE and of SE everywhere, compared
  senas train se=exported/NAME seeds=10 trainer.epochs=60
  senas train se=all16 data=fashion_mnist backbone=resnet20 against=[none]""",
    "sites": """\
  senas sites backbone=resnet20 data=fashion_mnist
  senas sites space=paper space.per=site               how large a search space is, and what it chooses from
  senas sites backbone=torchvision backbone.name=resnet50 shape=[3,224,224] classes=1000   no data are read
  senas sites backbone=resnet20 latency=eager          how much longer SE everywhere takes than none""",
    "export": """\
  senas export study.name=NAME                         the recommended configuration, to exported/NAME
  senas export study.name=NAME pick=trial:7 to=DIR     another one, elsewhere
  senas export study.name=NAME pick=budget:500         the best that at most 500 SE parameters bought
  senas export study.name=NAME fold=0.001              without the SE blocks whose gates may as well be constant
  senas export study.name=NAME format=onnx             with model.onnx, for those who have no PyTorch""",
    "dashboard": """\
  senas dashboard                                      the newest study
  senas dashboard study.name=NAME port=5001
  senas dashboard dashboard=optuna                     optuna-dashboard, on the newest study""",
}


def overview(commands: Mapping[str, str]) -> str:
    """The help of `senas` itself."""
    width = max(map(len, commands))
    lines = "\n".join(f"  {name:<{width}}  {what}" for name, what in commands.items())
    return f"""{ABOUT}

usage: senas COMMAND [key=value ...]

{lines}

  senas COMMAND --help            its examples, groups and keys
  senas COMMAND --cfg job         its whole configuration, as it would run
  eval "$(senas -sc install=bash)"  tab completion

Start with `senas search`."""


def command_help(command: str, what: str, overrides: Sequence[str] = ()) -> str:
    """The help of one command: examples, the groups it has and what there is in each, its own keys.

    overrides:  of which some choose another file of a group, as in evaluator=fused, whose keys are then told.
    """
    conf = conf_dir()
    text = _whole(conf / f"{command}.yaml")
    groups = [line.split()[1].rstrip(":") for line in text.splitlines() if line.startswith("  - ") and ": " in line]
    chosen = [line.split(": ")[1] for line in text.splitlines() if line.startswith("  - ") and ": " in line]
    _, _, own = text.partition("- _self_\n")
    parts = [f"senas {command}: {what}", f"usage: senas {command} [key=value ...]", EXAMPLES[command]]
    if groups:
        rows = []
        for group, default in zip(groups, chosen, strict=True):
            names = naturally(path.stem for path in (conf / group).glob("*.yaml"))
            rows.append(f"  {group:<10} {', '.join(f'[{n}]' if n == default else n for n in names)}")
        rows += (
            []
            if command not in ("search", "audit")
            else [f"  {'+experiment':<10} {', '.join(_names(conf / 'experiment'))}"]
        )
        parts.append("groups, as group=name (the default in brackets):\n" + "\n".join(rows))
    root = next(line for line in (conf / "base.yaml").read_text().splitlines() if line.startswith("root: "))
    parts.append("keys:\n" + "\n".join(f"  {line}" for line in [*own.strip().splitlines(), root] if line))
    wanted = {group: name for group, _, name in (word.partition("=") for word in overrides)}
    taken = {group: wanted.get(group, name) for group, name in zip(groups, chosen, strict=True)}
    files = {group: conf / group / f"{name}.yaml" for group, name in taken.items()}
    listed = {group: _keys(file) for group, file in files.items() if file.exists()}
    if rows := [_wrapped(f"{group}.", keys) for group, keys in listed.items() if keys]:
        parts.append(
            "keys of the groups, written group.key=value, as these are chosen "
            f"(`senas {command} {_another(taken, conf)} --help` tells those of another choice):\n" + "\n".join(rows)
        )
    return "\n\n".join(part for part in parts if part)


def _another(taken: Mapping[str, str], conf: Path) -> str:
    """A choice that is not taken, to show how one is written."""
    return next(f"{group}={name}" for group, own in taken.items() for name in _names(conf / group) if name != own)


def _whole(file: Path) -> str:
    """A command's file; where it builds on another command's, that one's."""
    text = file.read_text()
    based = [line.removeprefix("  - ") for line in text.splitlines() if line.startswith("  - ") and ": " not in line]
    others = [file.with_stem(name) for name in based if name not in ("base", "_self_")]
    return _whole(others[0]) if others else text


def _keys(file: Path) -> dict[str, str]:
    """What is in a file of a group, by key: its value, and the comment behind it in parentheses."""
    keys: dict[str, str] = {}
    for line in file.read_text().splitlines():
        if line.startswith("  - ") and line != "  - _self_":
            keys |= _keys(file.with_stem(line.removeprefix("  - ")))
        key, colon, rest = line.partition(": ")
        if colon and key.isidentifier() and key not in ("name", "_target_"):  # those come with the choice
            value, _, comment = rest.partition("  # ")
            keys[key] = f"{value} ({comment})" if comment else value
    return keys


def _wrapped(group: str, keys: Mapping[str, str]) -> str:
    text = ", ".join(f"{key} {value}" for key, value in keys.items())
    return textwrap.fill(
        text, WIDTH, initial_indent=f"  {group:<11}", subsequent_indent=" " * 13, break_long_words=False
    )


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))
