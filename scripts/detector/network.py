"""The face detector: an inverted-residual backbone, a feature pyramid, a head for each stride."""

from torch import Tensor, nn

from scripts.detector.targets import STRIDES
from scripts.landmarks.network import FusedBlock, InvertedResidual, conv_norm, stage

CHANNELS = 48  # of the pyramid
GEOMETRY = 14  # numbers per cell beside the score: centre 2, size 2, five keypoints 10


class SeparableBlock(nn.Module):
    """A depthwise 3×3 and a pointwise convolution, each with its activation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_norm(channels, channels, 3, groups=channels),
            nn.ReLU(inplace=True),
            conv_norm(channels, channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class DetectionNetwork(nn.Module):
    """Pictures (B, 3, H, W), 0 to 255, sides multiples of 32 → one map (B, 15, h, w) per stride.

    The first channel is the score's logit; `faceshape.vision.detector` says what the others mean.
    """

    pixel_unit = 64.0

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, 8, 3, 2), nn.ReLU(inplace=True))
        self.stage4 = stage(FusedBlock, 8, 24, 1)
        self.stage8 = stage(InvertedResidual, 24, 48, 2, expansion=2)
        self.stage16 = stage(InvertedResidual, 48, 80, 5, expansion=2)
        self.stage32 = stage(InvertedResidual, 80, 112, 4, expansion=2)
        self.lateral = nn.ModuleList([conv_norm(width, CHANNELS) for width in (48, 80, 112)])
        # Not one head for all strides: its normalisations would keep the mean of statistics that
        # differ, and what is trained with a batch's own fails with these.
        self.heads = nn.ModuleList([_head() for _ in STRIDES])

    def forward(self, pictures: Tensor) -> list[Tensor]:
        return self.maps(pictures / self.pixel_unit)

    def maps(self, x: Tensor) -> list[Tensor]:
        """Return the maps of pictures (B, 3, H, W) in units of `pixel_unit`."""
        fine = self.stage8(self.stage4(self.stem(x)))
        middle = self.stage16(fine)
        levels = (fine, middle, self.stage32(middle))
        features = [lateral(level) for lateral, level in zip(self.lateral, levels, strict=True)]
        for finer, coarser in ((1, 2), (0, 1)):
            features[finer] = features[finer] + nn.functional.interpolate(
                features[coarser], scale_factor=2.0
            )
        return [head(feature) for head, feature in zip(self.heads, features, strict=True)]


def _head() -> nn.Sequential:
    answer = nn.Conv2d(CHANNELS, 1 + GEOMETRY, 1)
    nn.init.constant_(answer.bias[:1], -4.6)  # a face in one of a hundred cells
    return nn.Sequential(*(SeparableBlock(CHANNELS) for _ in range(3)), answer)
