"""init=identity: a trained network stays as it was, and its blocks learn at once."""

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from senas.core.block import Gate
from senas.core.config import SEConfig
from senas.model.backbones import named
from senas.model.se import SqueezeExcitation
from senas.model.sites import trace
from senas.model.surgery import insert


class Plain(nn.Module):
    """Convolutions, norms and activations, without shortcuts."""

    def __init__(self):
        super().__init__()
        widths = [3, 8, 8, 12]
        self.features = nn.Sequential(
            *(
                layer
                for channels, width in pairwise(widths)
                for layer in (nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
            )
        )
        self.fc = nn.Linear(12, 4)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


FAMILIES = {"residual": lambda: named("resnet8", classes=4, channels=3, width=8), "plain": Plain}
OPTIMIZERS = {
    "SGD": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
    "AdamW": lambda weights: torch.optim.AdamW(weights, lr=3e-3),
}


def images(count, seed=0):
    """Images whose class says which of their quarters is bright, and the classes."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(4, (count,), generator=generator)
    x = torch.randn(count, 3, 8, 8, generator=generator) / 2
    for image, label in zip(x, classes.tolist(), strict=True):
        image[:, label // 2 * 4 :, label % 2 * 4 :][:, :4, :4] += 1
    return x, classes


def with_blocks(family, randomise, gate):
    torch.manual_seed(0)
    backbone = randomise(FAMILIES[family]()).float()
    traced = trace(backbone, (3, 8, 8))
    return backbone, insert(backbone, SEConfig.everywhere(traced.sites, 4, gate), traced)


def moved(net, optimizer):
    """By how much each block's gate differs from 1 after 50 steps, on average over images and channels."""
    optimizer = OPTIMIZERS[optimizer](net.parameters())
    net.train()
    for step in range(50):
        x, classes = images(32, step)
        optimizer.zero_grad()
        F.cross_entropy(net(x), classes).backward()
        optimizer.step()
    seen = {}
    blocks = {name: module for name, module in net.named_modules() if isinstance(module, SqueezeExcitation)}
    for name, block in blocks.items():
        block.register_forward_pre_hook(
            lambda block, args, name=name: seen.update({name: float((block.gates(args[0]) - 1).abs().mean())})
        )
    with torch.no_grad():
        net(images(64, 99)[0])
    assert seen.keys() == blocks.keys()
    return seen


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("family", FAMILIES)
def test_at_the_start_predictions_are_the_backbones(family, training, randomise):
    backbone, net = with_blocks(family, randomise, Gate.TWICE_SIGMOID)
    x, _ = images(16)
    assert (net.train(training)(x) - backbone.train(training)(x)).abs().max() <= 1e-6


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_after_50_steps_every_gate_has_moved(family, optimizer, randomise):
    _, net = with_blocks(family, randomise, Gate.TWICE_SIGMOID)
    assert min(moved(net, optimizer).values()) > 0.01


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_sigmoid_behind_a_large_bias_starts_as_the_identity_too_but_stays_there(family, optimizer, randomise):
    backbone, net = with_blocks(family, randomise, Gate.SIGMOID)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, SqueezeExcitation):
                module.fc2.weight.zero_()
                module.fc2.bias.fill_(20.0)
    x, _ = images(16)
    assert (copy.deepcopy(net).eval()(x) - backbone.eval()(x)).abs().max() <= 1e-6
    assert max(moved(net, optimizer).values()) < 0.01
