"""The validation loss over every other image, by which one sees what the number of validation images does."""

import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from senas.core.objective import METRICS, VAL_LOSS_EVEN
from senas.core.recipe import Device
from senas.core.trial import Job, Status
from senas.training.custom import CustomData
from senas.training.standalone import Standalone

pytestmark = pytest.mark.filterwarnings("ignore")


class InBatches(pl.LightningDataModule):
    """The few digits, validated in batches of any size."""

    def __init__(self, few, size):
        super().__init__()
        self.few, self.size = few, size

    def train_dataloader(self):
        return DataLoader(TensorDataset(self.few.train.images, self.few.train.labels), batch_size=32)

    def val_dataloader(self):
        part = TensorDataset(self.few.val.images[:39], self.few.val.labels[:39])
        return DataLoader(part, batch_size=self.size)


@pytest.mark.parametrize("size", [1, 3, 8, 39])
def test_it_goes_by_the_place_in_the_part_whatever_the_batches(
    few, traced, evaluator, recipe, se, go_on, tmp_path, size
):
    data = CustomData(InBatches(few, size), "mine.data:InBatches")
    made = Standalone(evaluator().build, traced, data, recipe(), Device(accelerator="cpu", threads=1))
    (result,) = made.evaluate([job := Job(se, 0, 1, tmp_path / "net.safetensors")], go_on)
    net = made.network(job)
    net.load_state_dict(load_file(job.weights))
    net.eval()
    with torch.no_grad():
        losses = F.cross_entropy(net(few.val.images[:39]), few.val.labels[:39], reduction="none")
    assert result.scores["val_loss"] == pytest.approx(float(losses.mean()), abs=1e-6)
    assert result.scores[VAL_LOSS_EVEN] == pytest.approx(float(losses[::2].mean()), abs=1e-6)


def test_it_is_among_the_scores_of_the_end_and_not_in_the_curve(evaluator, se, go_on):
    reported = []
    (result,) = evaluator().evaluate([Job(se, 0, 2)], lambda job, epoch, scores: reported.append(scores) or False)
    (pruned,) = evaluator().evaluate([Job(se, 0, 3)], lambda job, epoch, scores: epoch == 2)
    assert not [scores for scores in (*result.curve, *pruned.curve, *reported) if VAL_LOSS_EVEN in scores]
    assert (pruned.status, VAL_LOSS_EVEN in pruned.scores) == (Status.PRUNED, True)
    (whole,) = evaluator().evaluate([Job(se, 0, 3)], go_on)
    assert whole.scores[VAL_LOSS_EVEN] != pruned.scores[VAL_LOSS_EVEN]


def test_it_is_no_objective():
    assert VAL_LOSS_EVEN not in METRICS
