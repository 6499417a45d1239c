"""MobileNetV2, ResNet-50 and the keyword-spotting DS-CNN, from their papers."""

from __future__ import annotations

from torch import Tensor, nn


def conv_bn(
    cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1, act: type[nn.Module] = nn.ReLU6
) -> nn.Sequential:
    """Convolution without bias, batch normalization and an activation, padded to keep the size at stride 1."""
    convolution = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(cout), act())


class InvertedResidual(nn.Module):
    """Expand, filter depthwise, project; a residual connection where the shape stays (Sandler et al. 2018)."""

    def __init__(self, cin: int, cout: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = cin * expand
        self.residual = stride == 1 and cin == cout
        layers = [conv_bn(cin, hidden, 1)] if expand != 1 else []
        layers += [conv_bn(hidden, hidden, 3, stride, hidden), conv_bn(hidden, cout, 1, act=nn.Identity)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def mobilenet_v2() -> nn.Module:
    """MobileNetV2 1.0 for 3×224×224 and 1,000 classes."""
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    layers: list[nn.Module] = [conv_bn(3, 32, 3, 2)]
    channels = 32
    for expand, cout, count, stride in stages:
        for i in range(count):
            layers.append(InvertedResidual(channels, cout, stride if i == 0 else 1, expand))
            channels = cout
    layers += [conv_bn(channels, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers)


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 with a residual connection (He et al. 2016, stride in the 3×3 convolution)."""

    def __init__(self, cin: int, width: int, stride: int) -> None:
        super().__init__()
        cout = 4 * width
        self.layers = nn.Sequential(
            conv_bn(cin, width, 1, act=nn.ReLU),
            conv_bn(width, width, 3, stride, act=nn.ReLU),
            conv_bn(width, cout, 1, act=nn.Identity),
        )
        same = stride == 1 and cin == cout
        self.shortcut = nn.Identity() if same else conv_bn(cin, cout, 1, stride, act=nn.Identity)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.layers(x) + self.shortcut(x))


def resnet50() -> nn.Module:
    """ResNet-50 for 3×224×224 and 1,000 classes."""
    layers: list[nn.Module] = [conv_bn(3, 64, 7, 2, act=nn.ReLU), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, count, stride in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]:
        for i in range(count):
            layers.append(Bottleneck(channels, width, stride if i == 0 else 1))
            channels = 4 * width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000)]
    return nn.Sequential(*layers)


def keyword_ds_cnn() -> nn.Module:
    """The small depthwise-separable network of Zhang et al. 2017: 49×10 MFCC features, 12 classes."""
    layers: list[nn.Module] = [nn.Conv2d(1, 64, (10, 4), 2, (5, 1), bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    for _ in range(4):
        layers += [conv_bn(64, 64, 3, groups=64, act=nn.ReLU), conv_bn(64, 64, 1, act=nn.ReLU)]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 12), nn.Softmax(1)]
    return nn.Sequential(*layers)
