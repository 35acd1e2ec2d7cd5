"""A critic that tells decoded patches from real ones, so that edges stay edges."""

import torch
import torch.nn.functional as F
from torch import nn


def build(width: int = 24) -> nn.Sequential:
    """Scores [N, 1, H / 8, W / 8] of pictures [N, 3, H, W]: above 0 is taken for real."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for n in (1, 2):
        layers += [nn.Conv2d(width * n, width * 2 * n, 4, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(width * 4, 1, 3, 1, 1))


def loss(critic: nn.Module, real: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
    """What the critic learns from (hinge); `decoded` gets no gradient."""
    says_real, says_decoded = critic(real), critic(decoded.detach())
    return F.relu(1 - says_real).mean() + F.relu(1 + says_decoded).mean()


def blame(critic: nn.Module, decoded: torch.Tensor) -> torch.Tensor:
    """What the decoder learns from; the critic gets no gradient."""
    fixed = {name: p.detach() for name, p in critic.named_parameters()}
    return -torch.func.functional_call(critic, fixed, (decoded,)).mean()
