"""One image file as numbers, whatever its format, depth and colours."""

import hashlib
import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from senas.errors import DataError

SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".tga"),
)
DEEP = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}
"""Pillow's modes with more than 8 bits a pixel, all of them grey."""
DAMAGE = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, struct.error)
"""What Pillow raises for files that are no images, or not whole."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image file, decoded.

    pixels:  (H, W) where it is grey, else (H, W, 3): uint8 up to 255, or float32 up to 1 where the file is deeper.
    digest:  of the file's bytes.
    """

    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    digest: bytes

    @property
    def grey(self) -> bool:
        return self.pixels.ndim == 2

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)"""
        return self.pixels.shape[0], self.pixels.shape[1]

    def planes(self, channels: int) -> npt.NDArray[np.float32]:
        """(channels, H, W) in [0, 1]. Grey becomes three equal channels; colours become grey by their luminance."""
        scale = 255.0 if self.pixels.dtype == np.uint8 else 1.0
        pixels = self.pixels.astype(np.float32) / np.float32(scale)
        if not self.grey and channels == 1:
            pixels = pixels @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as Pillow has it
        planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        return np.broadcast_to(planes, (channels, *planes.shape[1:]))


def picture(path: Path, size: tuple[int, int] | None) -> Picture:
    """Reads an image file: its first frame, turned as its EXIF orientation says, on white where it is transparent.

    size:  (H, W). The image is made just large enough to cover it, its proportions kept, and cropped at the centre.
           None leaves it as it is.
    Raises DataError, naming the file, for one that is not a whole image.
    """
    try:
        content = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about large images and odd metadata
            with Image.open(io.BytesIO(content)) as image:
                pixels = _pixels(ImageOps.exif_transpose(image), size)
    except PermissionError as error:
        raise DataError(f"data.root: {path} cannot be read: {error.strerror}") from error
    except (*DAMAGE, zlib.error, Image.DecompressionBombError) as error:
        raise DataError(f"data.root: {path} is broken: {_cause(error, path)}; mend it or take it away") from error
    return Picture(pixels, hashlib.blake2b(content, digest_size=16).digest())


def _cause(error: Exception, path: Path) -> str:
    if isinstance(error, UnidentifiedImageError):  # its own text names a buffer
        return "it is no image that Pillow knows" if path.stat().st_size else "it is empty"
    return (str(error).splitlines() or [type(error).__name__])[0]


def _pixels(image: Image.Image, size: tuple[int, int] | None) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
    if image.mode in DEEP:
        deep = _fitted(Image.fromarray(_in_unit_range(np.asarray(image), image.mode)), size)
        return np.clip(np.asarray(deep, np.float32), 0, 1)
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    image = _fitted(image.convert("L" if image.mode in ("1", "L") else "RGB"), size)
    pixels = np.asarray(image, np.uint8)
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0].copy()  # grey, though it was kept in colours
    return pixels


def _in_unit_range(values: npt.NDArray[np.generic], mode: str) -> npt.NDArray[np.float32]:
    """Deep grey values as float32 in [0, 1]. Integers are taken for 16 bits; floats must be in [0, 1] already."""
    numbers = values.astype(np.float32) / np.float32(1 if mode == "F" else 65535)
    if not ((numbers >= 0) & (numbers <= 1)).all():
        rule = "floating-point pixels must be in [0, 1]" if mode == "F" else "deep pixels must be in [0, 65535]"
        raise ValueError(f"{rule}, these are in [{values.min()}, {values.max()}]")
    return numbers


def _fitted(image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    if size is None or image.size == size[::-1]:
        return image
    return ImageOps.fit(image, size[::-1], Image.Resampling.BILINEAR)
