"""The script that one would write without senas: where should ResNet-20 get SE blocks on Fashion-MNIST?

Optuna proposes, Lightning trains from a DataLoader, each trial is a run in MLflow: put together as the guides of these
projects do it, and nothing in it is slower than there. It knows nothing of senas, which is measured against it.

    python studies/benchmarks/plain.py search --trials 12
    python studies/benchmarks/plain.py train --config all16 --first-seed 100 --seeds 5

Left on, because guides have it on: Lightning's logging of the training loss, and MLflow while a trial trains. Turned
off, to its advantage: the progress bar, checkpoints, the summary of the model, the sanity check of validation.
"""

import argparse
import gzip
import json
import shutil
import time
from pathlib import Path

import numpy as np
import optuna
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import MLFlowLogger
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import FashionMNIST

SITES = [f"layer{stage}.{unit}" for stage in (1, 2, 3) for unit in range(3)]
WIDTHS = {1: 16, 2: 32, 3: 64}
CHOICES = ["none", *(f"r{r} {place}" for r in (4, 16) for place in ("standard", "pre", "post"))]
KNOWN = {"none": dict.fromkeys(SITES, "none"), "all16": dict.fromkeys(SITES, "r16 standard")}
PENALTY = 0.1
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


class SE(nn.Module):
    """Squeeze-and-Excitation, arXiv:1709.01507."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.gate = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid())

    def forward(self, x):
        scale = self.gate(self.pool(x).flatten(1))
        return x * scale[:, :, None, None]


class Unit(nn.Module):
    """The basic unit of He et al. (arXiv:1512.03385), shortcut A, and perhaps an SE block at one of three places."""

    def __init__(self, channels: int, width: int, stride: int, choice: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.added = stride, width - channels
        self.place, self.se = "none", None
        if choice != "none":
            ratio, self.place = choice.split()
            self.se = SE(channels if self.place == "pre" else width, int(ratio[1:]))

    def forward(self, x):
        y = self.se(x) if self.place == "pre" else x
        y = F.relu(self.bn1(self.conv1(y)))
        y = self.bn2(self.conv2(y))
        if self.place == "standard":
            y = self.se(y)
        if self.added:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.added // 2, self.added // 2))
        y = F.relu(x + y)
        return self.se(y) if self.place == "post" else y


class ResNet(nn.Module):
    """As many units as there are choices, such as "layer1.0": "r16 standard"."""

    def __init__(self, choices: dict[str, str], channels: int = 1) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        units, width = [], 16
        for site, choice in choices.items():
            stage, number = int(site[5]), int(site[7])
            stride = 2 if stage > 1 and number == 0 else 1
            units.append(Unit(width, WIDTHS[stage], stride, choice))
            width = WIDTHS[stage]
        self.units = nn.Sequential(*units)
        self.fc = nn.Linear(64, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.units(F.relu(self.bn(self.conv(x))))
        return self.fc(x.mean((2, 3)))

    def se_parameters(self) -> int:
        return sum(p.numel() for m in self.modules() if isinstance(m, SE) for p in m.parameters())


class Classifier(pl.LightningModule):
    def __init__(self, net: nn.Module, lr: float, weight_decay: float) -> None:
        super().__init__()
        self.net, self.lr, self.weight_decay = net, lr, weight_decay

    def training_step(self, batch, batch_idx):
        images, labels = batch
        loss = F.cross_entropy(self.net(images), labels)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self._measure(batch, "val")

    def test_step(self, batch, batch_idx):
        self._measure(batch, "test")

    def _measure(self, batch, part: str) -> None:
        images, labels = batch
        logits = self.net(images)
        self.log(f"{part}_loss", F.cross_entropy(logits, labels))
        self.log(f"{part}_accuracy", (logits.argmax(1) == labels).float().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        steps = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=self.lr, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Data:
    """Loaders of the three parts: 60,000 images for training and validation, 10,000 for testing."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.2860,), (0.3530,))])
        download = not unpacked(Path(args.root))
        known = FashionMNIST(args.root, train=True, download=download, transform=transform)
        self.test = FashionMNIST(args.root, train=False, transform=transform)
        if args.split:
            split = np.load(args.split)
            train, val = split["train"], split["val"]
        else:
            order = torch.randperm(len(known), generator=torch.Generator().manual_seed(0)).numpy()
            val, train = order[: args.val], order[args.val :][: args.train]
        self.train, self.val = Subset(known, train), Subset(known, val)

    def loader(self, part, **options) -> DataLoader:
        workers = self.args.workers
        gpu = self.args.accelerator != "cpu"
        return DataLoader(part, num_workers=workers, persistent_workers=workers > 0, pin_memory=gpu, **options)

    def loaders(self) -> tuple[DataLoader, DataLoader]:
        train = self.loader(self.train, batch_size=self.args.batch, shuffle=True, drop_last=True)
        return train, self.loader(self.val, batch_size=500)


def unpacked(root: Path) -> bool:
    """Whether the files are where torchvision looks for them; those of Debian's dataset-fashion-mnist are put there."""
    raw = root / "FashionMNIST" / "raw"
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        file, packed = raw / f"{part}-ubyte", DEBIAN / f"{part}-ubyte.gz"
        if not file.exists() and packed.exists():
            raw.mkdir(parents=True, exist_ok=True)
            with gzip.open(packed) as source, file.open("wb") as target:
                shutil.copyfileobj(source, target)
    return len(list(raw.glob("*-ubyte"))) == 4


def fitted(args: argparse.Namespace, data: Data, choices: dict[str, str], seed: int, logger) -> pl.Trainer:
    """A trainer that has trained the network with these choices."""
    pl.seed_everything(seed, verbose=False)
    model = Classifier(ResNet(choices), args.lr, args.weight_decay)
    trainer = pl.Trainer(
        accelerator=args.accelerator,
        devices=1,
        precision=args.precision,
        max_epochs=args.epochs,
        logger=logger,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(model, *data.loaders())
    return trainer


def search(args: argparse.Namespace) -> None:
    data = Data(args)
    largest = ResNet(dict.fromkeys(SITES, "r4 standard")).se_parameters()

    def objective(trial: optuna.Trial) -> float:
        choices = {site: trial.suggest_categorical(site, CHOICES) for site in SITES}
        logger = MLFlowLogger("plain", run_name=f"trial {trial.number}", tracking_uri="sqlite:///mlflow.db")
        trainer = fitted(args, data, choices, args.seed, logger)
        added = trainer.lightning_module.net.se_parameters()
        value = trainer.callback_metrics["val_loss"].item() + PENALTY * added / largest
        logger.log_hyperparams({**choices, "seed": args.seed, "epochs": args.epochs})
        logger.log_metrics({"penalized_loss": value, "se_parameters": added})
        logger.finalize("success")
        trial.set_user_attr("val_accuracy", trainer.callback_metrics["val_accuracy"].item())
        return value

    sampler = optuna.samplers.TPESampler(multivariate=True, n_startup_trials=10, seed=args.seed)
    study = optuna.create_study(storage="sqlite:///study.db", study_name="plain", sampler=sampler, load_if_exists=True)
    for choices in KNOWN.values():
        study.enqueue_trial(choices, skip_if_exists=True)
    study.optimize(objective, n_trials=args.trials)
    print(f"best: {study.best_value:.4f}", study.best_params)


def train(args: argparse.Namespace) -> None:
    data = Data(args)
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        begin = time.perf_counter()
        trainer = fitted(args, data, KNOWN[args.config], seed, logger=False)
        seconds = time.perf_counter() - begin
        (tested,) = trainer.test(trainer.lightning_module, data.loader(data.test, batch_size=500), verbose=False)
        print(json.dumps({"config": args.config, "seed": seed, "seconds": seconds, **tested}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["search", "train"])
    parser.add_argument("--root", default="data")
    parser.add_argument("--split", help="a file of numpy with the places of the images: train, val")
    parser.add_argument("--train", type=int, default=50_000, help="images")
    parser.add_argument("--val", type=int, default=10_000, help="images")
    parser.add_argument("--workers", type=int, default=0, help="of each DataLoader")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--accelerator", default="cpu")
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", choices=KNOWN, default="all16")
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    {"search": search, "train": train}[given.what](given)
