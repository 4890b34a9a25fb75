"""Random changes of training images: of a whole batch at once, wherever the batch lies.

Sources: He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, section 4.2 (CIFAR: 4 pixels of
padding, a random crop of it or of its mirror image).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is done to each training image, drawn anew in each epoch.

    flip:  half of the images, on average, are mirrored, left to right.
    crop:  each is moved by up to so many pixels, up or down and left or right; what comes in is 0, the mean colour of
           normalised images.
    """

    flip: bool = False
    crop: int = 0

    def drawn(self, images: int, seed: int) -> "Drawn | None":
        """What is done to each of so many images; it depends on the seed and the image's place. None: nothing."""
        if not self.flip and not self.crop:
            return None
        generator = torch.Generator().manual_seed(seed)
        flips = torch.randint(2, (images,), generator=generator).bool()
        shifts = torch.randint(2 * self.crop + 1, (images, 2), generator=generator)
        return Drawn(flips if self.flip else torch.zeros(images, dtype=torch.bool), shifts, self.crop)


@dataclass(frozen=True, slots=True)
class Drawn:
    """shifts: (N, 2), 0 to 2 * crop: first row and column of the crop. flips: (N,), whether it is mirrored then."""

    flips: Tensor
    shifts: Tensor
    crop: int

    def of(self, images: Tensor, places: Tensor) -> Tensor:
        """The images (B, C, H, W) at these places (B,), changed; their memory is laid out as channels_last."""
        height, width = images.shape[2:]
        flips, shifts = (drawn[places].to(images.device) for drawn in (self.flips, self.shifts))
        rows = torch.arange(height, device=images.device) + shifts[:, :1]
        columns = torch.arange(width, device=images.device).repeat(len(images), 1)
        columns = torch.where(flips[:, None], width - 1 - columns, columns) + shifts[:, 1:]
        padded = F.pad(images, [self.crop] * 4)
        which = torch.arange(len(images), device=images.device)
        return padded[which[:, None, None], :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
