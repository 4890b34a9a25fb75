"""Draws figure.png from results.csv, and prints what the README says.

python studies/cued_digits/figure.py
"""

import csv
from pathlib import Path

import matplotlib.pyplot as plt

HERE = Path(__file__).parent


def main() -> None:
    with (HERE / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    for panel, sampler in zip(panels, ("tpe", "random"), strict=True):
        mine = [row for row in rows if row["sampler"] == sampler]
        none = {row["study_seed"]: float(row["val_loss"]) for row in mine if row["configuration"] == "none"}
        for marker, label, wanted in (
            ("o", "other configurations", lambda row: True),
            ("s", "all at r = 16", lambda row: row["configuration"] == "r16 standard: all"),
            ("*", "recommended", lambda row: row["recommended"] == "yes"),
        ):
            chosen = [row for row in mine if wanted(row)]
            panel.scatter(
                [float(row["se_params"]) for row in chosen],
                [float(row["val_loss"]) - none[row["study_seed"]] for row in chosen],
                marker=marker,
                s=130 if marker == "*" else 26,
                color={"o": "#b0b7c3", "s": "#22272e", "*": "#d9480f"}[marker],
                label=label,
            )
        panel.axhline(0, color="#1f6feb", linewidth=1, label="no SE")
        panel.set_title(sampler)
        panel.set_xlabel("SE parameters")
        panel.spines[["top", "right"]].set_visible(False)
        picks = [row for row in mine if row["recommended"] == "yes"]
        first = sum("layer1.0:" in row["blocks"] for row in picks)
        last = sum("layer3.0:" not in row["blocks"] for row in picks)
        both = sum("layer1.0:" in row["blocks"] and "layer3.0:" not in row["blocks"] for row in picks)
        print(
            f"{sampler}: {len(picks)} studies; recommended has SE in the first stage {first}, none in the last {last}, "
            f"both {both}"
        )
        for row in picks:
            seed = row["study_seed"]
            everywhere = next(
                float(r["val_loss"])
                for r in mine
                if r["study_seed"] == seed and r["configuration"] == "r16 standard: all"
            )
            print(
                f"  seed {seed}: none {none[seed]:.4f}, all at r = 16 {everywhere:.4f} (791), recommended "
                f"{float(row['val_loss']):.4f} ({float(row['se_params']):.0f}): {row['configuration']}"
            )
    panels[0].set_ylabel("validation loss minus that of no SE, same seed")
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(HERE / "figure.png", dpi=130)


if __name__ == "__main__":
    main()
