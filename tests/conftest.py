"""senas first: where torch is built for the CPU, torchvision and Lightning can only be imported after it."""

import senas  # noqa: F401
