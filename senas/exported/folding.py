"""The section of the card that says which gates were folded into the weights, and what that changed."""

from collections.abc import Mapping
from typing import Any

from senas.exported.markdown import cell, table_of
from senas.exported.package import Exported

SPOKEN = {
    "val_loss": ("validation loss", "{:.4f}"),
    "val_accuracy": ("validation accuracy", "{:.2%}"),
    "se_params": ("SE parameters", "{:,}"),
    "params": ("parameters", "{:,}"),
    "macs": ("multiply-accumulates for one image", "{:,}"),
}


def folded_gates(exported: Exported) -> str:
    """Nothing where nobody asked for it."""
    told: Mapping[str, Any] = exported.provenance.get("folded", {})
    if not told:
        return ""
    allowed = f"as long as the validation loss rose by no more than {told['rise_of_val_loss_allowed']:g}"
    if not told["sites"]:
        return f"## Folded\n\nNo gate could be folded {allowed}. {_stayed(told)}"
    blocks = [
        (f"`{site}`", cell(each["block"]), f"{round(each['rise_alone'], 4) + 0.0:+.4f}")
        for site, each in told["sites"].items()
    ]
    changes = [
        (words, form.format(told["before"][name]), form.format(told["after"][name]))
        for name, (words, form) in SPOKEN.items()
    ]
    return (
        f"## Folded\n\n**The weights are not as they were trained.** {len(told['sites'])} of the SE blocks that this "
        "network was trained with are gone: each gate was replaced by a constant for each channel "
        f"({cell(told['factors'])}), {allowed}, and the constants were multiplied into the layers around it. That is "
        f"exact but for rounding (largest difference of a logit {told['difference_of_a_logit']:.3g}); what changed is "
        "that these gates no longer depend on the image. Trained from scratch, the configuration that is left is "
        "another network, and fine-tuned, batch norm would take its statistics anew. "
        "The validation images below chose what was folded, which flatters the second column a little.\n\n"
        + table_of(("", "as trained", "folded"), changes)
        + "\n\nIn the order in which they were folded:\n\n"
        + table_of(("site (module)", "block that was there", "change of the loss with it alone constant"), blocks)
        + f"\n\n{_stayed(told)}".rstrip()
    )


def _stayed(told: Mapping[str, Any]) -> str:
    lines = [f"- `{site}`: {cell(why)}" for site, why in told["stayed"].items()]
    return "What stays, and why:\n\n" + "\n".join(lines) if lines else ""
