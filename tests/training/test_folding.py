"""Which gates of a trained network are folded: those whose mean does, by the validation loss."""

import pytest
import torch

from senas.core.block import Placement, SEBlock, Squeeze
from senas.core.config import SEConfig
from senas.errors import SurgeryError
from senas.model.cifar import CifarResNet
from senas.model.gates import gate_paths, instead
from senas.model.sites import trace
from senas.model.surgery import insert
from senas.training import folding
from senas.training.augment import Augmentation
from senas.training.data import ImageData, Images, Part

CONFIG = SEConfig(
    {site: SEBlock(hidden=2, placement=Placement.STANDARD, squeeze=Squeeze.MAX) for site in ("layer1.0", "layer2.0")}
)


def part(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return Part(torch.rand(count, 3, 8, 8, generator=generator), torch.randint(4, (count,), generator=generator))


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return CifarResNet(8, classes=4, width=4).eval()


@pytest.fixture(scope="module")
def traced(backbone):
    return trace(backbone, (3, 8, 8))


@pytest.fixture
def net(backbone, traced):
    """The gate of the first site hangs on the image, that of the second one all but not; it is sure of its answers."""
    net = insert(backbone, CONFIG, traced)
    with torch.no_grad():
        net.fc.weight.mul_(30)
        net.get_submodule("layer1.0.se").fc2.weight.mul_(400)
        net.get_submodule("layer2.0.se").fc2.weight.mul_(1e-4)
    return net


@pytest.fixture
def data(net):
    """The validation images have the labels that the network gives them, so that any change of it is for the worse."""
    data = ImageData(part(70, 0), part(60, 1), part(10, 2), classes=tuple("abcd"), batch_size=10)
    with torch.no_grad():
        data.val.labels.copy_(net(data.val.images).argmax(1))
    return data


def folded(backbone, net, traced, data, most, **options):
    return folding.folded(backbone, net, CONFIG, traced, data, most, **options)


def test_only_gates_fold_that_raise_the_loss_by_no_more_than_is_allowed(backbone, net, traced, data):
    found = folded(backbone, net, traced, data, 1e-5)
    assert list(found.folded) == ["layer2.0"]
    assert list(found.config) == ["layer1.0"]
    assert abs(found.after.loss - found.before.loss) <= 1e-5 + folding.ROUNDING
    assert "constant with the 1 folded before it, the validation loss would rise by 0." in found.stayed["layer1.0"]


def test_where_much_is_allowed_all_fold_the_one_that_matters_least_first(backbone, net, traced, data):
    found = folded(backbone, net, traced, data, 10.0)
    assert list(found.folded) == ["layer2.0", "layer1.0"]
    assert abs(found.folded["layer2.0"]) < abs(found.folded["layer1.0"])
    assert (found.config, found.stayed) == (SEConfig(), {})


def test_passes_over_the_images_are_told_as_they_are_done(backbone, net, traced, data):
    told = []
    folded(backbone, net, traced, data, 10.0, told=lambda *done: told.append(done))
    assert told == [(n, 4) for n in range(1, 5)]


def test_the_network_that_is_left_scores_what_constant_gates_do(backbone, net, traced, data):
    found = folded(backbone, net, traced, data, 10.0)
    paths = gate_paths(backbone, CONFIG, traced)
    factors = folding.mean_gates(net, paths, data.plain_training_images(folding.IMAGES))
    with instead(net, paths, factors):
        expected = folding._scored(net, data.val_dataloader())
    assert found.after.loss == pytest.approx(expected.loss, abs=1e-6)
    assert found.difference < 1e-5


def test_factors_are_means_over_the_training_images_without_augmentation(backbone, net, traced, data):
    data.augment(Augmentation(flip=True, crop=2))
    found = folded(backbone, net, traced, data, 10.0)
    assert (found.images, found.part) == (70, "training")
    path = gate_paths(backbone, CONFIG, traced)["layer1.0"]
    gates = []
    handle = net.get_submodule(path).register_forward_hook(lambda m, args, y: gates.append(m.gates(args[0])))
    with torch.no_grad():
        net(data.train.images)
    handle.remove()
    factors = folding.mean_gates(net, {"layer1.0": path}, data.plain_training_images(folding.IMAGES))
    assert torch.allclose(factors["layer1.0"].float(), gates[0].mean(0), atol=1e-6)


def test_of_many_training_images_some_are_taken_from_all_over(data, monkeypatch):
    monkeypatch.setattr("senas.training.data.VALIDATION_BATCH", 5)
    batches = list(data.plain_training_images(20))
    taken = torch.cat([images for images, _ in batches])
    assert torch.equal(taken, data.train.images[::4])


def test_data_that_cannot_be_had_without_augmentation_give_means_over_validation_images(
    backbone, net, traced, data, monkeypatch
):
    monkeypatch.setattr(ImageData, "plain_training_images", Images.plain_training_images)
    found = folded(backbone, net, traced, data, 10.0)
    assert (found.images, found.part) == (60, "validation")


def test_hooks_of_the_data_may_ask_their_trainer(backbone, net, traced, data, monkeypatch):
    monkeypatch.setattr(data, "on_after_batch_transfer", lambda batch, _: batch if not data.trainer.training else None)
    assert folded(backbone, net, traced, data, 10.0).images == 70


def test_what_no_layer_can_take_stays_for_that_reason(backbone, net, traced, data):
    for unit in ("layer1.0", "layer2.0"):
        net.get_submodule(f"{unit}.bn2").register_forward_hook(lambda module, args, output: output)
    found = folded(backbone, net, traced, data, 10.0)
    assert found.folded == {}
    assert found.config == CONFIG
    assert "before it, layer1.0.bn2 (BatchNorm2d), which has hooks, cannot take its factors" in found.stayed["layer1.0"]


def test_a_fold_that_is_not_exact_is_refused(backbone, net, traced, data, monkeypatch):
    real = folding.fold

    def wrong(*arguments):
        made = real(*arguments)
        made.net.fc.bias.data += 0.1
        return made

    monkeypatch.setattr(folding, "fold", wrong)
    with pytest.raises(SurgeryError, match=r"\Athe folded network's logits differ by 0\.1 .*export it without fold\Z"):
        folded(backbone, net, traced, data, 10.0)
