"""The networks that find a face's points: inverted residuals and a regression head.

Both take crops (B, 3, S, S), 0 to 255, and give landmarks (B, P, 2) in units of the crop's side, 0
at the left or upper edge and 1 at the other, and presence logits (B,). The exact one also says how
far off it expects each landmark to be (B, P), in the same units.
"""

import torch
from torch import Tensor, nn

DROPOUT = 0.1
PIXEL_MIDDLE, PIXEL_UNIT = 127.5, 64.0


def as_in_memory(crops: Tensor, side: int) -> Tensor:
    """Return crops (..., S, S, 3), 0 to 255, for a stem of `shipped_models.over_pixels`.

    The side is given: taken from a crop's shape, an exported graph would compute it every time.
    """
    return crops.reshape(-1, 1, side, 3 * side).float() - PIXEL_MIDDLE


def conv_norm(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


class FusedBlock(nn.Module):
    """A plain 3×3 convolution with a residual: early on it is faster than a separable one."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_norm(inputs, outputs, 3, stride), nn.ReLU(inplace=True))
        self.residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


class InvertedResidual(nn.Module):
    """Expand, filter depthwise, project (MobileNetV2, Sandler et al. 2018)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.body = nn.Sequential(
            conv_norm(inputs, hidden),
            nn.ReLU(inplace=True),
            conv_norm(hidden, hidden, 3, stride, groups=hidden),
            nn.ReLU(inplace=True),
            conv_norm(hidden, outputs),
        )
        self.residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


def stage(block, inputs: int, outputs: int, repeats: int, **options) -> nn.Sequential:
    blocks = [block(inputs, outputs, stride=2, **options)]
    blocks += [block(outputs, outputs, stride=1, **options) for _ in range(repeats - 1)]
    return nn.Sequential(*blocks)


class AlignmentNetwork(nn.Module):
    """The first look, on crops of 64 pixels: where the face is, at a quarter of the cost."""

    side, pixel_unit = 64, PIXEL_UNIT

    def __init__(self, mean_shape: Tensor) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, 16, 3, 2), nn.ReLU(inplace=True))
        # Plain convolutions to the end: on maps so small the separable ones cost more for each
        # layer than they spare.
        self.stage4 = stage(FusedBlock, 16, 24, 1)
        self.stage8 = stage(FusedBlock, 24, 48, 2)
        self.stage16 = stage(FusedBlock, 48, 96, 2)
        self.fine = nn.Sequential(conv_norm(96, 24), nn.ReLU(inplace=True), nn.Flatten())
        self.shape = nn.Sequential(nn.Linear(24 * 16, 96), nn.Linear(96, 2 * len(mean_shape)))
        self.presence = nn.Linear(96, 1)
        self.register_buffer("mean_shape", mean_shape)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        return self.answer((crops - PIXEL_MIDDLE) / PIXEL_UNIT)

    def answer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `forward` does, of crops about `PIXEL_MIDDLE` in units of `PIXEL_UNIT`."""
        fine = self.stage16(self.stage8(self.stage4(self.stem(x))))
        landmarks = self.mean_shape + 0.1 * self.shape(self.fine(fine)).reshape(
            -1, *self.mean_shape.shape
        )
        return landmarks, self.presence(fine.mean(dim=(2, 3))).squeeze(1)


class LandmarkNetwork(nn.Module):
    """The exact look, on crops of 96 pixels; its head sees three scales."""

    side, pixel_unit = 96, PIXEL_UNIT

    def __init__(self, mean_shape: Tensor) -> None:
        super().__init__()
        points = len(mean_shape)
        self.stem = nn.Sequential(conv_norm(3, 16, 3, 2), nn.ReLU(inplace=True))
        self.stage4 = stage(FusedBlock, 16, 24, 2)
        self.stage8 = stage(InvertedResidual, 24, 48, 3, expansion=3)
        self.stage16 = stage(InvertedResidual, 48, 96, 4, expansion=3)
        self.stage32 = stage(InvertedResidual, 96, 128, 2, expansion=3)
        self.fine = nn.Sequential(conv_norm(96, 24), nn.ReLU(inplace=True), nn.Flatten())
        self.coarse = nn.Sequential(conv_norm(128, 64), nn.ReLU(inplace=True), nn.Flatten())
        self.finest = nn.Sequential(conv_norm(48, 8), nn.ReLU(inplace=True), nn.Flatten())
        # Most of the weights are here, and what is learned by heart with them.
        self.dropout = nn.Dropout(DROPOUT)
        features = 24 * (self.side // 16) ** 2 + 64 * (self.side // 32) ** 2
        features += 8 * (self.side // 8) ** 2
        self.hidden = nn.Linear(features, 192)
        self.shape = nn.Linear(192, points * 2)
        self.spread = nn.Linear(192, points)
        self.presence = nn.Linear(128, 1)
        self.register_buffer("mean_shape", mean_shape)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.answer((crops - PIXEL_MIDDLE) / PIXEL_UNIT)

    def answer(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `forward` does, of crops about `PIXEL_MIDDLE` in units of `PIXEL_UNIT`."""
        finest = self.stage8(self.stage4(self.stem(x)))
        fine = self.stage16(finest)
        coarse = self.stage32(fine)
        features = [self.fine(fine), self.coarse(coarse), self.finest(finest)]
        hidden = self.hidden(self.dropout(torch.cat(features, dim=1)))
        landmarks = self.mean_shape + 0.1 * self.shape(hidden).reshape(-1, *self.mean_shape.shape)
        # What it expects to be off must not change what it says: no gradient goes beyond.
        spread = 0.01 * self.spread(hidden.detach()).clamp(-4, 4).exp()
        return landmarks, self.presence(coarse.mean(dim=(2, 3))).squeeze(1), spread
