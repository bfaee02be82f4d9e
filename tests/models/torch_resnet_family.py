"""PSPNet, DeepLab v2 and v3 in plain PyTorch, written from the papers, for pictures of 8n + 1.

`width` scales every filter count. `bias` puts biases in front of the encoder's normalisations, as
`keras.applications` has them and the papers have not.
"""

import re

import torch
from torch import nn
from torch.nn import functional

from kerasseg.anatomy.torch_weights import load_torch_weights
from tests.models.zoo import outputs

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def scaled(count, width):
    return max(1, round(count * width))


def conv(inputs, outputs, kernel, stride=1, rate=1, bias=False):
    padding = rate * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation=rate, bias=bias)


def conv_bn_relu(inputs, outputs, kernel, rate=1, epsilon=1e-3):
    return nn.Sequential(
        conv(inputs, outputs, kernel, rate=rate), nn.BatchNorm2d(outputs, eps=epsilon), nn.ReLU()
    )


def enlarge(x, like):
    return functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)


class Bottleneck(nn.Module):
    """He et al. 2016, figure 5, right; the stride is on the first 1x1 convolution."""

    def __init__(self, inputs, narrow, wide, stride, rate, project, bias):
        super().__init__()
        if project:
            self.project = conv(inputs, wide, 1, stride, bias=bias)
            self.project_bn = nn.BatchNorm2d(wide, eps=1.001e-5)
        self.reduce = conv(inputs, narrow, 1, stride, bias=bias)
        self.reduce_bn = nn.BatchNorm2d(narrow, eps=1.001e-5)
        self.middle = conv(narrow, narrow, 3, rate=rate, bias=bias)
        self.middle_bn = nn.BatchNorm2d(narrow, eps=1.001e-5)
        self.increase = conv(narrow, wide, 1, bias=bias)
        self.increase_bn = nn.BatchNorm2d(wide, eps=1.001e-5)
        self.projects = project

    def forward(self, x):
        y = torch.relu(self.reduce_bn(self.reduce(x)))
        y = torch.relu(self.middle_bn(self.middle(y)))
        y = self.increase_bn(self.increase(y))
        return torch.relu(y + (self.project_bn(self.project(x)) if self.projects else x))


class ResNet(nn.Module):
    """conv1 to conv5, with a stride and a list of rates for each stage from conv2 on."""

    def __init__(self, depth, strides, rates, width, bias, deep_stem=False):
        super().__init__()
        channels = scaled(64, width)
        if deep_stem:  # PSPNet's
            stem = [
                (conv(3, scaled(64, width), 3, 2), scaled(64, width)),
                (conv(scaled(64, width), scaled(64, width), 3), scaled(64, width)),
                (conv(scaled(64, width), scaled(128, width), 3), scaled(128, width)),
            ]
            channels = scaled(128, width)
        else:
            stem = [(conv(3, channels, 7, 2, bias=bias), channels)]
        self.stem = nn.Sequential(
            *(
                part
                for convolution, outputs in stem
                for part in (convolution, nn.BatchNorm2d(outputs, eps=1.001e-5), nn.ReLU())
            ),
            nn.MaxPool2d(3, 2, 1),
        )
        self.stages = nn.ModuleList()
        for stage in range(4):
            narrow, wide = scaled(64 * 2**stage, width), scaled(256 * 2**stage, width)
            blocks = nn.Sequential()
            for block in range(DEPTHS[depth][stage]):
                stride = strides[stage] if block == 0 else 1
                rate = rates[stage][block % len(rates[stage])]
                blocks.append(
                    Bottleneck(channels, narrow, wide, stride, rate, block == 0, bias=bias)
                )
                channels = wide
            self.stages.append(blocks)

    def forward(self, x):
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class PSPNet(nn.Module):
    """Zhao et al. 2017, figure 3; conv4 and conv5 have rates 2 and 4 instead of strides."""

    def __init__(self, depth, classes, width=1.0, bias=False, deep_stem=False, auxiliary=False):
        super().__init__()
        self.encoder = ResNet(depth, (1, 2, 1, 1), ((1,), (1,), (2,), (4,)), width, bias, deep_stem)
        deep, middle = scaled(2048, width), scaled(512, width)
        self.branches = nn.ModuleList(conv_bn_relu(deep, middle, 1) for _ in range(4))
        self.head = conv_bn_relu(deep + 4 * middle, middle, 3)
        self.scores = conv(middle, classes, 1, bias=True)
        if auxiliary:
            self.auxiliary = nn.Sequential(
                conv_bn_relu(scaled(1024, width), scaled(256, width), 3),
                conv(scaled(256, width), classes, 1, bias=True),
            )

    def forward(self, image):
        *_, conv4, x = self.encoder(image)
        pyramid = [x]
        for bins, branch in zip((1, 2, 3, 6), self.branches):
            pyramid.append(enlarge(branch(functional.adaptive_avg_pool2d(x, bins)), x))
        logits = enlarge(self.scores(self.head(torch.cat(pyramid, 1))), image)
        if not hasattr(self, "auxiliary"):
            return logits
        return logits, enlarge(self.auxiliary(conv4), image)


class DeepLabV2(nn.Module):
    """Chen et al. 2018, section 4.1: the sum of four classifiers of rates 6, 12, 18, 24."""

    def __init__(self, classes, width=1.0, bias=False):
        super().__init__()
        self.encoder = ResNet(101, (1, 2, 1, 1), ((1,), (1,), (2,), (4,)), width, bias)
        self.classifiers = nn.ModuleList(
            conv(scaled(2048, width), classes, 3, rate=rate, bias=True) for rate in (6, 12, 18, 24)
        )

    def forward(self, image):
        x = self.encoder(image)[-1]
        return enlarge(sum(classifier(x) for classifier in self.classifiers), image)


class DeepLabV2VGG(nn.Module):
    """The same over VGG-16: pool4 and pool5 have stride 1, conv5 has rate 2; no normalisation."""

    def __init__(self, classes, width=1.0):
        super().__init__()
        layers, channels = [], 3
        for stage, (count, filters) in enumerate(
            zip((2, 2, 3, 3, 3), (64, 128, 256, 512, 512)), start=1
        ):
            for _ in range(count):
                rate = 2 if stage == 5 else 1
                layers += [conv(channels, scaled(filters, width), 3, rate=rate, bias=True)]
                layers += [nn.ReLU()]
                channels = scaled(filters, width)
            layers += [nn.MaxPool2d(3, 2 if stage <= 3 else 1, 1)]
        self.encoder = nn.Sequential(*layers)
        wide = scaled(1024, width)
        self.branches = nn.ModuleList(
            nn.Sequential(
                conv(channels, wide, 3, rate=rate, bias=True),
                nn.ReLU(),
                conv(wide, wide, 1, bias=True),
                nn.ReLU(),
                conv(wide, classes, 1, bias=True),
            )
            for rate in (6, 12, 18, 24)
        )

    def forward(self, image):
        x = self.encoder(image)
        return enlarge(sum(branch(x) for branch in self.branches), image)


class DeepLabV3(nn.Module):
    """Chen et al. 2017, figure 5, with Multi-Grid (1, 2, 4)."""

    def __init__(self, depth, classes, output_stride=16, width=1.0, bias=False):
        super().__init__()
        if output_stride == 16:
            strides, rates = (1, 2, 2, 1), ((1,), (1,), (1,), (2, 4, 8))
        else:
            strides, rates = (1, 2, 1, 1), ((1,), (1,), (2,), (4, 8, 16))
        self.encoder = ResNet(depth, strides, rates, width, bias)
        deep, middle = scaled(2048, width), scaled(256, width)
        rates = (6, 12, 18) if output_stride == 16 else (12, 24, 36)
        self.pyramid = nn.ModuleDict(
            {
                "branches": nn.ModuleList(
                    [conv_bn_relu(deep, middle, 1)]
                    + [conv_bn_relu(deep, middle, 3, rate) for rate in rates]
                ),
                "image": conv_bn_relu(deep, middle, 1),
                "projection": conv_bn_relu(5 * middle, middle, 1),
            }
        )
        self.scores = conv(middle, classes, 1, bias=True)

    def forward(self, image):
        x = self.encoder(image)[-1]
        maps = [branch(x) for branch in self.pyramid["branches"]]
        maps.append(enlarge(self.pyramid["image"](x.mean((2, 3), keepdim=True)), x))
        return enlarge(self.scores(self.pyramid["projection"](torch.cat(maps, 1))), image)


def parameters(network, *args, **kwargs):
    """How many trainable parameters a network of the class `network` has; nothing is allocated."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in network(*args, **kwargs).parameters())


def outputs_of_both(model, network, names, images):
    """What a Keras model and a network of this file give, both with the network's weights.

    `names` leads from the layers of the model's head to the network's modules.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.running_var):
                nn.init.uniform_(values, 0.5, 1.5)
            for values in (module.bias, module.running_mean):
                nn.init.normal_(values, 0, 0.1)
    state = network.state_dict()
    load_torch_weights(model, state, {**encoder_names(model), **names}, batch_norm_epsilon=None)
    with torch.no_grad():
        theirs = network.eval()(torch.tensor(images).permute(0, 3, 1, 2))
    if isinstance(theirs, tuple):
        theirs = torch.stack(theirs)
    return outputs(model, images), theirs.movedim(-3, -1).numpy()


def encoder_names(model):
    """The modules of `ResNet` that belong to the encoder's layers."""
    names = {"conv1_conv": "encoder.stem.0", "conv1_bn": "encoder.stem.1"}
    for layer in model.layers:
        place = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(conv|bn)", layer.name)
        if place:
            stage, block, part, kind = place.groups()
            module = ("project", "reduce", "middle", "increase")[int(part)]
            block = f"encoder.stages.{int(stage) - 2}.{int(block) - 1}"
            names[layer.name] = f"{block}.{module}" + ("_bn" if kind == "bn" else "")
    return names if "conv1_conv" in [layer.name for layer in model.layers] else {}
