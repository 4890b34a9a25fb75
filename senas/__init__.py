"""Which layers of a CNN should get Squeeze-and-Excitation blocks, how narrow, and where should each gate sit?"""

from senas import torchvision_beside_cpu_torch

torchvision_beside_cpu_torch.install()
