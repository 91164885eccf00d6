"""The networks of the close looks: a small trunk that all patches share, and a head."""

import torch
from torch import Tensor, nn

from scripts.landmarks.network import (
    PIXEL_MIDDLE,
    PIXEL_UNIT,
    FusedBlock,
    InvertedResidual,
    conv_norm,
    stage,
)


def planes(patches: Tensor) -> Tensor:
    """Return patches (B, G, S, S, 3), 0 to 255, as the trunk sees them (B G, 3, S, S)."""
    return (patches.flatten(0, 1).permute(0, 3, 1, 2).float() - PIXEL_MIDDLE) / PIXEL_UNIT


class EyeNetwork(nn.Module):
    """Patches (B, 2, 40, 40, 3), 0 to 255: left eye, mirrored right eye → points (B, 2, K, 2).

    Points are in units of the patch's side. Both eyes share all weights, and what is said of one
    depends in the same way on the other, since they look the same way: a mirrored face swaps the
    two patches, and exactly so the answers.
    """

    side, pixel_unit = 40, PIXEL_UNIT

    def __init__(self, mean_shape: Tensor) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, 16, 3, 2), nn.ReLU(inplace=True))
        self.stage4 = stage(FusedBlock, 16, 24, 2)
        self.stage8 = stage(FusedBlock, 24, 48, 2)
        self.fine = nn.Sequential(conv_norm(24, 6), nn.ReLU(inplace=True), nn.Flatten())
        self.coarse = nn.Sequential(conv_norm(48, 24), nn.ReLU(inplace=True), nn.Flatten())
        features = 6 * (self.side // 4) ** 2 + 24 * (self.side // 8) ** 2
        self.own = nn.Linear(features, 64)
        self.other = nn.Linear(features, 32)
        self.shape = nn.Linear(64 + 32, mean_shape[0].numel())
        self.register_buffer("mean_shape", mean_shape)

    def forward(self, patches: Tensor) -> Tensor:
        return self.answer(planes(patches))

    def answer(self, x: Tensor) -> Tensor:
        """Return what `forward` does, of patches (2 B, ...) as `planes` gives them."""
        fine = self.stage4(self.stem(x))
        features = torch.cat([self.fine(fine), self.coarse(self.stage8(fine))], dim=1)
        own, other = (
            part(features).reshape(-1, 2, part.out_features) for part in (self.own, self.other)
        )
        offsets = self.shape(torch.cat([own, other.flip(1)], dim=2))
        return self.mean_shape + 0.1 * offsets.reshape(-1, 2, *self.mean_shape.shape[1:])


class MouthNetwork(nn.Module):
    """Patches (B, 1, 56, 56, 3), 0 to 255 → points (B, 1, K, 2) in units of the patch's side."""

    side, pixel_unit = 56, PIXEL_UNIT

    def __init__(self, mean_shape: Tensor) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, 16, 3, 2), nn.ReLU(inplace=True))
        self.stage4 = stage(FusedBlock, 16, 24, 2)
        self.stage8 = stage(FusedBlock, 24, 48, 2)
        self.stage16 = stage(InvertedResidual, 48, 64, 3, expansion=3)
        self.fine = nn.Sequential(conv_norm(24, 6), nn.ReLU(inplace=True), nn.Flatten())
        self.middle = nn.Sequential(conv_norm(48, 16), nn.ReLU(inplace=True), nn.Flatten())
        self.coarse = nn.Sequential(conv_norm(64, 32), nn.ReLU(inplace=True), nn.Flatten())
        features = 6 * 14**2 + 16 * 7**2 + 32 * 4**2
        self.hidden = nn.Linear(features, 96)
        self.shape = nn.Linear(96, mean_shape.numel())
        self.register_buffer("mean_shape", mean_shape)

    def forward(self, patches: Tensor) -> Tensor:
        return self.answer(planes(patches))

    def answer(self, x: Tensor) -> Tensor:
        """Return what `forward` does, of patches (B, ...) as `planes` gives them."""
        fine = self.stage4(self.stem(x))
        middle = self.stage8(fine)
        coarse = self.stage16(middle)
        features = [self.fine(fine), self.middle(middle), self.coarse(coarse)]
        offsets = self.shape(self.hidden(torch.cat(features, dim=1)))
        return self.mean_shape + 0.1 * offsets.reshape(-1, *self.mean_shape.shape)
