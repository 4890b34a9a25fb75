"""ONNX Runtime, as something that runs a network: for measuring its latency there."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from senas.core.latency import Timing
from senas.errors import ConfigError
from senas.exported.onnx import OPSET, missing_packages, quiet


def onnx_runtime(net: nn.Module, images: Tensor, timing: Timing) -> Callable[[], object]:
    """What runs the network, exported for batches of this size, once. Exporting takes seconds.

    Raises ConfigError where a package is missing, or PyTorch's exporter cannot write the network.
    """
    if missing := missing_packages():
        raise ConfigError(
            f"latency.runtime=onnx needs {', '.join(missing)}, which is not installed: pip install 'senas[onnx]', or "
            "latency.runtime=eager"
        )
    import onnxruntime

    try:
        with quiet(), torch.inference_mode(False), torch.no_grad():
            program = torch.onnx.export(
                net,
                (images.clone(),),
                dynamo=True,
                input_names=["images"],
                output_names=["logits"],
                opset_version=OPSET,
                verbose=False,
            )
        assert program is not None  # of the newer exporter; the older one writes a file and returns nothing
        model = program.model_proto.SerializeToString()
    except (torch.onnx.OnnxExporterError, ValueError) as error:  # ValueError: more than the 2 GiB of one file
        raise ConfigError(
            f"latency.runtime=onnx: the network cannot be exported ({str(error).splitlines()[0]}); "
            "latency.runtime=eager needs no export"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads, options.inter_op_num_threads = timing.threads, 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    given = {"images": images.numpy()}
    return lambda: session.run(None, given)
