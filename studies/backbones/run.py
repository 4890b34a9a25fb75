"""Every classification network of torchvision as a backbone, then results.csv and the table of README.md.

    python studies/backbones/run.py            # all of them, each in a process of its own
    python studies/backbones/run.py resnet18   # these only: their rows are replaced

Sites and costs are those at the usual size of the images; what is run is run on smaller ones where the network takes
them, with fresh weights.
"""

import csv
import sys
import tempfile
import time
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import senas  # noqa: F401  # before torchvision, where torch is built for the CPU

HERE = Path(__file__).parent
COLUMNS = (
    *("network", "size", "sites", "placements", "stages", "trace_ms", "surgery_ms"),
    *("params", "params_se", "macs", "macs_se", "run_size", "train", "eval", "onnx", "remark"),
)
RUN_SIZES = (64, 96, 128, 224)
REPEATS = 3
BATCHES = (1, 3)
PASSES = 5  # at most: stochastic depth may skip a unit for all images of a pass
HEAD, TAIL = "<!-- table -->", "<!-- end of table -->"


def main(names: list[str]) -> None:
    from torchvision import models

    # Once, before a process is forked for each network: so its memory is freed, and one that dies takes no other.
    for module in ("onnxruntime", "onnxscript", "torch.onnx", "senas.model.surgery"):
        import_module(module)
    for name in names or models.list_models(module=models):
        row = {"network": name, **in_own_process(name)}
        print(row, flush=True)
        write({**rows(), name: row})


def in_own_process(name: str) -> dict[str, Any]:
    """The row of one network; where its process dies, a remark that says how."""
    forking = get_context("fork")
    ours, theirs = forking.Pipe()
    process = forking.Process(target=lambda: theirs.send(one(name)))
    process.start()
    theirs.close()
    try:
        row: dict[str, Any] = ours.recv()
    except EOFError:
        process.join()
        row = {"remark": f"its process ended with code {process.exitcode}"}
    process.join()
    return row


def rows() -> dict[str, dict[str, Any]]:
    """What was found before, by network."""
    if not (HERE / "results.csv").exists():
        return {}
    with (HERE / "results.csv").open(newline="") as file:
        return {row["network"]: row for row in csv.DictReader(file)}


def write(found: dict[str, dict[str, Any]]) -> None:
    """results.csv, and the table in README.md between its two marks."""
    ordered = [found[name] for name in sorted(found)]
    with (HERE / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(ordered)
    readme = HERE / "README.md"
    if readme.exists() and HEAD in (text := readme.read_text()):
        before, rest = text.split(HEAD)
        readme.write_text(f"{before}{HEAD}\n{table(ordered)}\n{TAIL}{rest.split(TAIL)[1]}")


def table(found: list[dict[str, Any]]) -> str:
    """The rows for people; a refused network has its line in place of numbers."""
    head = (
        *("network", "size", "sites", "stages", "trace, ms", "surgery, ms", "parameters, M", "with SE"),
        *("MACs, G", "with SE", "train, eval", "ONNX"),
    )
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * 9 + " --- | ---: |"]
    for row in found:
        if not row.get("sites"):
            continue
        numbers = [f"{float(row[key]) / unit:.3f}" for key, unit in (("params", 1e6), ("params_se", 1e6))]
        numbers += [f"{float(row[key]) / 1e9:.3f}" for key in ("macs", "macs_se")]
        cells = [row["network"], *(str(row[key]) for key in ("size", "sites", "stages", "trace_ms", "surgery_ms"))]
        lines.append("| " + " | ".join([*cells, *numbers, f"{row['train']}, {row['eval']}", str(row["onnx"])]) + " |")
    refused = [f"- {row['network']}: {row['remark']}" for row in found if not row.get("sites")]
    return "\n".join([*lines, *(["", "Refused:", "", *refused] if refused else [])])


def one(name: str) -> dict[str, Any]:
    """The row of one network."""
    import torch
    from torchvision import models

    from senas.core.backbone import Backbone
    from senas.core.config import SEConfig
    from senas.core.site import stages
    from senas.errors import SenasError
    from senas.model.backbones import build
    from senas.model.cost import macs, params
    from senas.model.sites import trace
    from senas.model.surgery import insert

    torch.manual_seed(0)
    backbone = build(Backbone(name=name, library="torchvision"), classes=1000, channels=3)
    usual = next(iter(models.get_model_weights(name))).transforms().crop_size[0]
    row: dict[str, Any] = {"size": usual, "params": params(backbone)}
    try:
        traced, row["trace_ms"] = timed(partial(trace, backbone, (3, usual, usual)))
    except SenasError as error:
        return {"size": usual, "remark": str(error)}
    everywhere = SEConfig.everywhere(traced.sites)
    _, row["surgery_ms"] = timed(partial(insert, backbone, everywhere, traced))
    row |= {
        "sites": len(traced.sites),
        "placements": " ".join(sorted({str(p) for site in traced.sites for p in site.places})),
        "stages": len(stages(traced.sites)),
        "macs": macs(backbone, (3, usual, usual)),
        "params_se": row["params"] + everywhere.params(traced.sites),
    }
    row["macs_se"] = row["macs"] + everywhere.macs(traced.sites)
    for side in (side for side in RUN_SIZES if side <= usual):
        try:
            small = trace(backbone, (3, side, side))
            break
        except SenasError:  # too small for this network
            continue
    net = insert(backbone, SEConfig.everywhere(small.sites), small)
    del backbone
    assert params(net) == row["params_se"]
    row["run_size"] = side
    images = torch.randn(max(BATCHES), 3, side, side)
    for _ in range(PASSES):
        loss = torch.nn.functional.cross_entropy(net.train()(images), torch.arange(len(images)))
        loss.backward()
        if learns(net):
            break
    row["train"] = told(learns(net))
    net.zero_grad(set_to_none=True)
    net.eval()
    with torch.no_grad():
        row["eval"] = told(bool(net(images).isfinite().all()))
    row["onnx"] = f"{onnx_difference(net, images):.0e}"
    return row


def timed(make: Any) -> tuple[Any, int]:
    """What is made, and the median of its milliseconds over REPEATS times."""
    took = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        made = make()
        took.append(time.perf_counter() - start)
    return made, round(1000 * sorted(took)[REPEATS // 2])


def learns(net: Any) -> bool:
    """Whether all gradients are finite, and every gate has one that is not zero."""
    from senas.model.se import SqueezeExcitation

    finite = all(p.grad is None or bool(p.grad.isfinite().all()) for p in net.parameters())
    blocks = [module for module in net.modules() if isinstance(module, SqueezeExcitation)]
    return finite and all(float(block.fc2.bias.grad.abs().max()) > 0 for block in blocks)


def onnx_difference(net: Any, images: Any) -> float:
    """By how much onnxruntime's logits differ at most from PyTorch's, in parts of the largest logit."""
    import onnxruntime
    import torch

    from senas.exported.onnx import OPSET, quiet

    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "model.onnx")
        with quiet():
            batch = torch.export.Dim("batch")
            torch.onnx.export(
                net, (images[:2],), file, dynamo=True, dynamic_shapes=({0: batch},), opset_version=OPSET, verbose=False
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        for count in BATCHES:
            with torch.no_grad():
                expected = net(images[:count])
            (logits,) = session.run(None, {session.get_inputs()[0].name: images[:count].numpy()})
            difference = (torch.from_numpy(logits) - expected).abs().max() / expected.abs().max()
            worst = max(worst, float(difference))
    return worst


def told(fine: bool) -> str:
    return "ok" if fine else "no"


if __name__ == "__main__":
    main(sys.argv[1:])
