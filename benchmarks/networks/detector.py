"""A one-stage detector of YOLOv8n's shape: the same blocks, widths and decoded output, for 80 classes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.networks.convolutional import conv_bn

BINS = 16
"""Each side of a box is the mean of a distribution over this many distances."""


def conv(cin: int, cout: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    return conv_bn(cin, cout, kernel, stride, act=nn.SiLU)


class Bottleneck(nn.Module):
    """Two 3×3 convolutions, with a residual connection where `residual`."""

    def __init__(self, channels: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.layers = nn.Sequential(conv(channels, channels, 3), conv(channels, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class C2f(nn.Module):
    """Half of the channels pass through `count` bottlenecks; all intermediate results are concatenated."""

    def __init__(self, cin: int, cout: int, count: int, residual: bool = False) -> None:
        super().__init__()
        self.split = conv(cin, cout)
        self.blocks = nn.ModuleList(Bottleneck(cout // 2, residual) for _ in range(count))
        self.join = conv((2 + count) * cout // 2, cout)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.split(x).chunk(2, 1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        return self.join(torch.cat(parts, 1))


class PoolingPyramid(nn.Module):
    """Three 5×5 maximum poolings in a row, concatenated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = conv(channels, channels // 2)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.join = conv(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.reduce(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        return self.join(torch.cat(parts, 1))


class Detect(nn.Module):
    """Boxes (centre, size, in pixels) and class scores of every cell of three scales."""

    anchors: Tensor
    strides: Tensor
    distances: Tensor

    def __init__(self, widths: list[int], size: int, classes: int) -> None:
        super().__init__()
        box, cls = max(16, widths[0] // 4, 4 * BINS), max(widths[0], min(classes, 100))
        self.boxes = nn.ModuleList(
            nn.Sequential(conv(w, box, 3), conv(box, box, 3), nn.Conv2d(box, 4 * BINS, 1)) for w in widths
        )
        self.scores = nn.ModuleList(
            nn.Sequential(conv(w, cls, 3), conv(cls, cls, 3), nn.Conv2d(cls, classes, 1)) for w in widths
        )
        points, strides = [], []
        for stride in (8, 16, 32):
            axis = torch.arange(size // stride) + 0.5
            y, x = torch.meshgrid(axis, axis, indexing="ij")
            points.append(torch.stack([x, y]).flatten(1))
            strides.append(torch.full((1, x.numel()), float(stride)))
        self.register_buffer("anchors", torch.cat(points, 1)[None])
        self.register_buffer("strides", torch.cat(strides, 1))
        self.register_buffer("distances", torch.arange(float(BINS)).view(1, BINS, 1, 1))

    def forward(self, *features: Tensor) -> Tensor:
        boxes = torch.cat([layer(x).flatten(2) for layer, x in zip(self.boxes, features)], 2)
        scores = torch.cat([layer(x).flatten(2) for layer, x in zip(self.scores, features)], 2)
        weights = boxes.view(1, 4, BINS, -1).transpose(1, 2).softmax(1)
        sides = nn.functional.conv2d(weights, self.distances.view(1, BINS, 1, 1)).view(1, 4, -1)
        top_left, bottom_right = sides.chunk(2, 1)
        first, last = self.anchors - top_left, self.anchors + bottom_right
        box = torch.cat([(first + last) / 2, last - first], 1) * self.strides
        return torch.cat([box, scores.sigmoid()], 1)


class Detector(nn.Module):
    """Backbone, a path up and a path down through three scales, and the head."""

    def __init__(self, size: int = 640, classes: int = 80) -> None:
        super().__init__()
        self.early = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2), C2f(32, 32, 1, True))
        self.small = nn.Sequential(conv(32, 64, 3, 2), C2f(64, 64, 2, True))
        self.medium = nn.Sequential(conv(64, 128, 3, 2), C2f(128, 128, 2, True))
        self.large = nn.Sequential(conv(128, 256, 3, 2), C2f(256, 256, 1, True), PoolingPyramid(256))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.up_medium, self.up_small = C2f(384, 128, 1), C2f(192, 64, 1)
        self.down_small, self.down_medium = conv(64, 64, 3, 2), conv(128, 128, 3, 2)
        self.out_medium, self.out_large = C2f(192, 128, 1), C2f(384, 256, 1)
        self.detect = Detect([64, 128, 256], size, classes)

    def forward(self, image: Tensor) -> Tensor:
        small = self.small(self.early(image))
        medium = self.medium(small)
        large = self.large(medium)
        medium = self.up_medium(torch.cat([self.up(large), medium], 1))
        small = self.up_small(torch.cat([self.up(medium), small], 1))
        medium = self.out_medium(torch.cat([self.down_small(small), medium], 1))
        large = self.out_large(torch.cat([self.down_medium(medium), large], 1))
        return self.detect(small, medium, large)


def yolov8n() -> nn.Module:
    """The detector for 3×640×640 pictures."""
    return Detector()
