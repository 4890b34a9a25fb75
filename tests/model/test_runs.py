"""Networks with SE blocks run wherever the backbone does: compiled, in other layouts and precisions, exported."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from senas.core.block import SEBlock
from senas.core.config import SEConfig
from senas.model.se import SqueezeExcitation
from senas.model.sites import trace
from senas.model.surgery import insert

EXAMPLE = (3, 32, 32)


class Custom(nn.Module):
    """Functional dropout, in-place operations, parts of tensors, a buffer that counts."""

    class Unit(nn.Module):
        def __init__(self, drop):
            super().__init__()
            self.drop = drop
            self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
            self.norm = nn.BatchNorm2d(8)
            self.register_buffer("count", torch.zeros(()))

        def forward(self, x):
            self.count.add_(1)
            y = self.norm(self.conv1(x))
            first, second = y[:, :4], y[:, 4:]
            y = torch.cat([F.relu_(first), second], 1)
            y = F.dropout(self.conv2(y), self.drop, self.training)
            y += x
            return F.relu(y)

    def __init__(self, drop=0.1):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.units = nn.Sequential(self.Unit(drop), self.Unit(drop))
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(self.units(self.stem(x)).mean((2, 3)))


class Deciding(Custom):
    """Cannot be traced; its sites are named."""

    def forward(self, x):
        return super().forward(x if x.shape[1] == 3 else x[:, :3])


def torchvision_network():
    from torchvision import models  # behind senas, also in the processes that the tests start

    return models.resnet18(num_classes=5)


def timm_network():
    return pytest.importorskip("timm").create_model("efficientnet_lite0", num_classes=5)


NETWORKS = {
    "torchvision": torchvision_network,
    "timm": timm_network,
    "custom": Custom,
    "untraced": Deciding,
}


def images(count=4):
    return torch.randn(count, *EXAMPLE, generator=torch.Generator().manual_seed(0))


def network(name, **how):
    """With a block at the usual placement of every site."""
    torch.manual_seed(0)
    net = NETWORKS[name](**(how if name in ("custom", "untraced") else {}))
    traced = trace(net, EXAMPLE, modules=["units.0", "units.1"] if name == "untraced" else ())
    config = SEConfig({site.name: SEBlock(hidden=2, placement=site.usual) for site in traced.sites})
    assert len(config) >= 2
    return insert(net, config, traced)


FEW = [pytest.param(name, marks=[pytest.mark.slow] if name in ("torchvision", "timm") else []) for name in NETWORKS]
"""The small ones, and with `-m slow` the others."""


@pytest.fixture(params=FEW)
def net(request):
    return network(request.param)


def gradients(net, inputs=None):
    """The output in train(), and the gradient of every parameter."""
    net.train().zero_grad()
    torch.manual_seed(1)
    output = net(images() if inputs is None else inputs)
    output.square().mean().backward()
    return output.detach(), {name: p.grad.clone() for name, p in net.named_parameters()}


def assert_close(ours, theirs, **tolerance):
    (output, grads), (other, others) = ours, theirs
    torch.testing.assert_close(output, other, **tolerance)
    for name, grad in others.items():
        found = grads[name] if name in grads else grads[f"_orig_mod.{name}"]  # compiled
        torch.testing.assert_close(found, grad, msg=lambda m, name=name: f"{name}: {m}", **tolerance)


@pytest.mark.parametrize("name", FEW)
def test_channels_last_computes_the_same(name):
    net = network(name, drop=0.0).double()
    expected = gradients(copy.deepcopy(net), images().double())
    ours = net.to(memory_format=torch.channels_last)
    assert_close(
        gradients(ours, images().double().to(memory_format=torch.channels_last)), expected, rtol=1e-6, atol=1e-6
    )


def test_in_bfloat16_every_block_learns_and_outputs_are_near(net):
    expected = net.eval()(images()).detach()
    with torch.autocast("cpu", torch.bfloat16):
        found = net(images()).detach().float()
        _, grads = gradients(net)
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()
    assert all(grad.isfinite().all() for grad in grads.values())
    blocks = [name for name, module in net.named_modules() if isinstance(module, SqueezeExcitation)]
    assert all(grads[f"{name}.fc2.bias"].abs().sum() > 0 for name in blocks)


def saved_and_loaded(net, tmp_path):
    torch.save(net, tmp_path / "net.pt")
    return torch.load(tmp_path / "net.pt", weights_only=False)


COPIES = {
    "copy": lambda net, tmp_path: copy.deepcopy(net),
    "pickle": lambda net, tmp_path: pickle.loads(pickle.dumps(net)),
    "torch.save": saved_and_loaded,
    "copy of a pickle": lambda net, tmp_path: copy.deepcopy(pickle.loads(pickle.dumps(net))),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_computes_the_same_in_both_modes(net, how, tmp_path):
    again = COPIES[how](net, tmp_path)
    assert torch.equal(again.eval()(images()), net.eval()(images()))
    assert_close(gradients(again), gradients(net), rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "backend"),  # the large ones without the C++ compiler, which would take a minute each
    [("torchvision", "aot_eager"), ("timm", "aot_eager"), ("custom", "inductor"), ("untraced", "aot_eager")],
)
def test_compiled_it_computes_the_same_forward_and_backward(name, backend):
    net = network(name, drop=0.0)  # compiled code draws other random numbers
    torch._dynamo.reset()
    compiled, other = torch.compile(net, backend=backend, fullgraph=True), copy.deepcopy(net)
    torch.testing.assert_close(compiled.eval()(images()), other.eval()(images()), rtol=1e-3, atol=1e-4)
    assert_close(gradients(compiled), gradients(other), rtol=1e-2, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_exported_by_torch_it_computes_the_same_at_three_batch_sizes(name):
    net = network(name).eval()
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(net, (images(),), dynamic_shapes=({0: batch},)).module()
    for count in (2, 3, 7):
        torch.testing.assert_close(program(images(count)), net(images(count)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_in_onnx_runtime_it_computes_the_same_at_two_batch_sizes(name, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    net = network(name).eval()
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    torch.onnx.export(net, (images(2),), tmp_path / "net.onnx", dynamo=True, dynamic_shapes=shapes, verbose=False)
    session = runtime.InferenceSession(str(tmp_path / "net.onnx"))
    for count in (1, 3):
        (found,) = session.run(None, {session.get_inputs()[0].name: images(count).numpy()})
        torch.testing.assert_close(torch.from_numpy(found), net(images(count)).detach(), rtol=1e-3, atol=1e-5)


def of_two_processes(rank, name, folder):
    """Gradients of this process's half of the images, averaged by DistributedDataParallel."""
    meeting = f"file://{folder}/meeting"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    net = frozen(network(name))
    parallel = nn.parallel.DistributedDataParallel(net)
    parallel(images().chunk(2)[rank]).square().mean().backward()
    torch.save({key: p.grad for key, p in net.named_parameters() if p.requires_grad}, folder / f"{rank}.pt")
    # Its threads must be gone before the process is, which ends by SIGABRT else: those of the reducer first.
    del parallel
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def frozen(net):
    """Norms by their statistics: those of half a batch are others."""
    return net.train().apply(lambda m: m.eval() if isinstance(m, nn.BatchNorm2d | nn.Dropout | Custom.Unit) else m)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_two_processes_have_the_gradients_of_one(name, tmp_path):
    torch.multiprocessing.spawn(of_two_processes, (name, tmp_path), nprocs=2)
    net = frozen(network(name))
    net(images()).square().mean().backward()
    for rank in (0, 1):
        grads = torch.load(tmp_path / f"{rank}.pt")
        assert grads.keys() == {name for name, _ in net.named_parameters()}
        for key, grad in grads.items():
            torch.testing.assert_close(grad, net.get_parameter(key).grad, rtol=1e-3, atol=1e-6)
