"""Whether images fit into memory, told before they are read."""

import os
from pathlib import Path

import torch

from senas.errors import DataError

CGROUP = Path("/sys/fs/cgroup")
COPIES = 2
"""Images as they were read, and normalised."""


def refuse_what_does_not_fit(images: int, shape: tuple[int, int, int], way_out: str) -> None:
    """Raises DataError, with the estimate, where so many float32 images (C, H, W) are more than is free."""
    channels, height, width = shape
    needed, free = COPIES * 4 * images * channels * height * width, free_memory()
    if needed > free:
        raise DataError(
            f"data.root: {images:,} images of {channels} x {height} x {width} take about {needed / 1e9:,.1f} GB of "
            f"memory while they are read, and {free / 1e9:,.1f} GB are free; {way_out}"
        )


def free_memory() -> float:
    """Bytes that this process may still take; infinite where the system does not say."""
    try:
        meminfo = Path("/proc/meminfo").read_text()
        (line,) = [line for line in meminfo.splitlines() if line.startswith("MemAvailable:")]
        free = float(line.split()[1]) * 1024
    except (OSError, ValueError):
        try:
            free = float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, AttributeError):
            return float("inf")
    return min(free, _limit_of_container())


def free_on(accelerator: torch.device) -> float:
    """Bytes that are free on an accelerator; infinite where it is not asked."""
    return torch.cuda.mem_get_info(accelerator)[0] if accelerator.type == "cuda" else float("inf")


def _limit_of_container() -> float:
    try:
        return float((CGROUP / "memory.max").read_text())
    except (OSError, ValueError):  # none, or "max"
        return float("inf")
