"""senas first: where torch is built for the CPU, torchvision and Lightning can only be imported after it.

What is imported and collected here stays to the end: looking through it for garbage again and again took a tenth of
the time of the tests.
"""

import gc

import senas  # noqa: F401

gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 50)
