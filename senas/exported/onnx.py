"""model.onnx: the exported network for those who have no PyTorch, with all they need to know in its metadata."""

import contextlib
import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from senas.errors import ExportError
from senas.exported.package import Exported, normalisation

ONNX_FILE = "model.onnx"
DATA_FILE = "model.onnx.data"
"""Beside it where the weights do not fit into one file."""
ONE_FILE = 2_000_000_000
"""Bytes of weights. A file of ONNX's format can have 2 GiB."""
OPSET = 18
BATCHES = (1, 4, 7)
"""Batch sizes that the model is tried with, in turn."""
TOLERANCE = 1e-4
"""Of the largest logit, or of 1 where that is larger: by how much logits may differ from PyTorch's. Single precision,
other orders of summation."""
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def check_installed() -> None:
    """Raises ExportError, naming the way out, where a package of the extra `onnx` is missing."""
    if missing := missing_packages():
        raise ExportError(
            f"format=onnx needs {', '.join(missing)}, which is not installed: pip install 'senas[onnx]', "
            "or leave format out"
        )


def missing_packages() -> list[str]:
    """Those of the extra `onnx` that are not installed."""
    return [name for name in PACKAGES if find_spec(name) is None]


def write_onnx(folder: Path, net: nn.Module, exported: Exported, se_yaml: str) -> None:
    """Writes model.onnx: `images` (batch, C, H, W), normalised, float32, to `logits` (batch, classes); any batch size.

    Its metadata_props hold shape, mean, std and classes as JSON, the SE configuration as text, and se.yaml whole.
    Raises ExportError where the exporter of PyTorch cannot write the network.
    """
    import onnx

    net = copy.deepcopy(net).cpu().float().eval()
    example = torch.zeros(2, *exported.shape)
    try:
        with quiet():
            program = torch.onnx.export(
                net,
                (example,),
                dynamo=True,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=OPSET,
                verbose=False,
            )
        assert program is not None  # of the newer exporter; the older one writes a file and returns nothing
        model = program.model_proto
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(f"format=onnx: the network cannot be exported: {str(error).splitlines()[0]}") from error
    for node in model.graph.node:  # where in whose files each operation came from
        del node.metadata_props[:]
        node.doc_string = ""
    model.doc_string = "Image classifier with Squeeze-and-Excitation blocks, found by senas. See metadata_props."
    onnx.helper.set_model_props(model, _metadata(exported, se_yaml))
    if sum(tensor.numel() * tensor.element_size() for tensor in net.state_dict().values()) <= ONE_FILE:
        (folder / ONNX_FILE).write_bytes(model.SerializeToString(deterministic=True))
    else:
        onnx.save_model(model, str(folder / ONNX_FILE), save_as_external_data=True, location=DATA_FILE)


def _metadata(exported: Exported, se_yaml: str) -> dict[str, str]:
    return {
        "shape": json.dumps(list(exported.shape)),
        "mean": json.dumps(list(exported.mean)),
        "std": json.dumps(list(exported.std)),
        "classes": json.dumps(list(exported.classes), ensure_ascii=False),
        "normalisation": normalisation(exported),
        "configuration": str(exported.config),
        "se.yaml": se_yaml,
    }


def onnx_difference(folder: Path, net: nn.Module, images: Tensor) -> float:
    """Largest absolute difference of a logit between onnxruntime on model.onnx and `net`, in batches of 1, 4 and 7.

    Raises ExportError where it is more than TOLERANCE allows, or no number.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(folder / ONNX_FILE), options, providers=["CPUExecutionProvider"])
    worst = 0.0
    with torch.no_grad():
        for batch in _in_batches(images):
            expected = net(batch)
            (logits,) = session.run(["logits"], {"images": batch.numpy()})
            difference = float((torch.from_numpy(logits) - expected).abs().max())
            allowed = TOLERANCE * max(1.0, float(expected.abs().max()))
            if not difference <= allowed:  # also where it is NaN
                raise ExportError(
                    f"format=onnx: onnxruntime's logits for {len(batch)} images differ by {difference:.3g} from "
                    f"PyTorch's, more than {allowed:.3g}; leave format out, and please report it"
                )
            worst = max(worst, difference)
    return worst


def _in_batches(images: Tensor) -> Iterator[Tensor]:
    """1 image, the next 4, the next 7, the next 1, ... Few images are repeated, until each size was there."""
    images = images.repeat(-(-sum(BATCHES) // len(images)), 1, 1, 1) if len(images) < sum(BATCHES) else images
    start = 0
    while start < len(images):
        for size in BATCHES:
            if start < len(images):
                yield images[start : start + size].contiguous()
            start += size


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """PyTorch's exporter says on every channel there is what it is about to do."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
