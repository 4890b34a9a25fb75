"""The script that one would write without senas for a front: SE blocks in ResNet-8, validation loss against parameters.

As plain.py, whose networks and LightningModule it uses, with two directions for Optuna, and its front at the end.

    python studies/benchmarks/plain_front.py --trials 96

It knows nothing of senas. The images are scikit-learn's digits, or those of a file (`--images`). The same is left on
and turned off as there.
"""

import argparse

import numpy as np
import optuna
import pytorch_lightning as pl
import torch
from plain import CHOICES, KNOWN, Classifier, ResNet
from pytorch_lightning.loggers import MLFlowLogger
from torch.utils.data import DataLoader, TensorDataset

SITES = [f"layer{stage}.0" for stage in (1, 2, 3)]
SAMPLERS = {
    "tpe": lambda seed: optuna.samplers.TPESampler(multivariate=True, n_startup_trials=10, seed=seed),
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(population_size=20, seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


def parts(file: str | None) -> tuple[TensorDataset, TensorDataset]:
    """For training and for validation: images (n, channels, height, width) and labels (n,)."""
    if file:
        read = np.load(file)
        arrays = [read[f"{part}_{what}"] for part in ("train", "val") for what in ("images", "labels")]
    else:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        bunch = load_digits()
        images, labels = bunch.images[:, None].astype(np.float32) / 16, bunch.target
        rest = train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=0)
        split = train_test_split(rest[0], rest[2], test_size=0.375, stratify=rest[2], random_state=0)
        mean, std = split[0].mean(), split[0].std()
        arrays = [(split[0] - mean) / std, split[2], (split[1] - mean) / std, split[3]]
    tensors = [torch.from_numpy(each) for each in arrays]
    return TensorDataset(*tensors[:2]), TensorDataset(*tensors[2:])


def fitted(args: argparse.Namespace, data: tuple[TensorDataset, TensorDataset], choices, logger) -> pl.Trainer:
    """A trainer that has trained the network with these choices."""
    pl.seed_everything(args.seed, verbose=False)
    train, val = data
    model = Classifier(ResNet(choices, channels=train.tensors[0].shape[1]), args.lr, args.weight_decay)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=args.epochs,
        logger=logger,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    loaders = DataLoader(train, args.batch, shuffle=True, drop_last=True), DataLoader(val, 500)
    trainer.fit(model, *loaders)
    return trainer


def main(args: argparse.Namespace) -> None:
    data = parts(args.images)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        choices = {site: trial.suggest_categorical(site, CHOICES) for site in SITES}
        logger = MLFlowLogger("plain", run_name=f"trial {trial.number}", tracking_uri="sqlite:///mlflow.db")
        trainer = fitted(args, data, choices, logger)
        loss, added = trainer.callback_metrics["val_loss"].item(), trainer.lightning_module.net.se_parameters()
        logger.log_hyperparams({**choices, "seed": args.seed, "epochs": args.epochs})
        logger.log_metrics({"final_val_loss": loss, "se_parameters": added})
        logger.finalize("success")
        return loss, added

    study = optuna.create_study(
        storage="sqlite:///study.db",
        study_name="plain",
        sampler=SAMPLERS[args.sampler](args.seed),
        directions=["minimize", "minimize"],
        load_if_exists=True,
    )
    for known in KNOWN.values():
        study.enqueue_trial({site: known[site] for site in SITES}, skip_if_exists=True)
    study.optimize(objective, n_trials=args.trials)
    for trial in sorted(study.best_trials, key=lambda each: each.values[1]):
        print(f"{trial.values[0]:.4f} {trial.values[1]:6.0f}", trial.params)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", help="a file of numpy: train_images, train_labels, val_images, val_labels")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--trials", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sampler", choices=SAMPLERS, default="tpe")
    main(parser.parse_args())
