"""Two parts of Fashion-MNIST that share no image: one to train a backbone on first, one to fine-tune it on."""

import pytorch_lightning as pl
from torch.utils.data import DataLoader, TensorDataset

from senas.training.data import Part
from senas.training.datasets import fashion_mnist

FIRST, SECOND, VALIDATION = 20_000, 2_000, 2_000


class Parts(pl.LightningDataModule):
    """part: `first` (20,000 training images) or `second` (2,000 others); validation and test images are the same."""

    num_classes = 10

    def __init__(self, part: str, batch_size: int, root: str = "data") -> None:
        super().__init__()
        data = fashion_mnist(
            root=root, download=False, train=FIRST + SECOND, val=VALIDATION, split_seed=0, batch_size=batch_size
        )
        here = slice(FIRST) if part == "first" else slice(FIRST, None)
        self.train = Part(data.train.images[here], data.train.labels[here])
        self.val, self.test, self.batch_size = data.val, data.test, batch_size

    def train_dataloader(self) -> DataLoader:
        return self._loader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self._loader(self.val, 500)

    def test_dataloader(self) -> DataLoader:
        return self._loader(self.test, 500)

    def _loader(self, part: Part, batch_size: int, shuffle: bool = False) -> DataLoader:
        return DataLoader(TensorDataset(part.images, part.labels), batch_size, shuffle=shuffle, drop_last=shuffle)
