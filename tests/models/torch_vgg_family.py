"""FCN-8s, DeconvNet, SegNet-Basic, DeepLab v1 and DilatedNet in plain PyTorch, from the papers.

`width` scales every filter count. SegNet is in `torch_encoder_decoders`.
"""

import functools

import torch
from torch import nn
from torch.nn import functional as F

from kerasseg.anatomy.torch_weights import load_torch_weights
from tests.models.torch_encoder_decoders import EPSILON, with_random_statistics
from tests.models.zoo import outputs


def scaled(count, width):
    return max(1, round(count * width))


def conv_relu(inputs, outputs, kernel=3, padding=1, rate=1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=rate), nn.ReLU()
    )


def conv_bn_relu(inputs, outputs, kernel=3, padding=1, convolution=nn.Conv2d):
    return nn.Sequential(
        convolution(inputs, outputs, kernel, padding=padding),
        nn.BatchNorm2d(outputs, eps=EPSILON),
        nn.ReLU(),
    )


def vgg16_stages(width, block=conv_relu, **last):
    """The convolutions of VGG-16 (Simonyan and Zisserman 2015, table 1, D); `last` of the fifth."""
    stages, before = nn.ModuleList(), 3
    for depth, filters in zip((2, 2, 3, 3, 3), (64, 128, 256, 512, 512)):
        arguments = last if len(stages) == 4 else {}
        stage = nn.Sequential()
        for _ in range(depth):
            stage.append(block(before, scaled(filters, width), **arguments))
            before = scaled(filters, width)
        stages.append(stage)
    return stages


class FCN8s(nn.Module):
    """Long et al. 2015, figure 3. `paper`: as released, pad 100 and crops at fixed offsets."""

    def __init__(self, classes, width=1.0, paper=False):
        super().__init__()
        wide = scaled(4096, width)
        self.paper = paper
        self.encoder = vgg16_stages(width)
        self.fc6 = conv_relu(scaled(512, width), wide, 7, padding=0 if paper else 3)
        self.fc7 = conv_relu(wide, wide, 1, padding=0)
        self.score7 = nn.Conv2d(wide, classes, 1)
        self.up4 = self.upsampling(classes, 2)
        self.score4 = nn.Conv2d(scaled(512, width), classes, 1)
        self.up3 = self.upsampling(classes, 2)
        self.score3 = nn.Conv2d(scaled(256, width), classes, 1)
        self.up1 = self.upsampling(classes, 8)

    def upsampling(self, classes, factor):
        padding = 0 if self.paper else factor // 2
        return nn.ConvTranspose2d(classes, classes, 2 * factor, factor, padding, bias=False)

    def crop(self, x, like, offset):
        offset = offset if self.paper else 0
        return x[:, :, offset : offset + like.shape[2], offset : offset + like.shape[3]]

    def forward(self, image):
        x = F.pad(image, 4 * [99]) if self.paper else image
        pools = []
        for stage in self.encoder:
            x = F.max_pool2d(stage(x), 2, ceil_mode=True)
            pools.append(x)
        x = self.up4(self.score7(self.fc7(self.fc6(x))))
        x = self.up3(x + self.crop(self.score4(pools[3]), x, 5))
        x = self.up1(x + self.crop(self.score3(pools[2]), x, 9))
        return self.crop(x, image, 31)


class DeconvNet(nn.Module):
    """Noh et al. 2015, figure 2, for images of at least 224 pixels a side."""

    def __init__(self, classes, width=1.0):
        super().__init__()
        deep, wide = scaled(512, width), scaled(4096, width)
        self.encoder = vgg16_stages(width, conv_bn_relu)
        self.fc6 = conv_bn_relu(deep, wide, 7, padding=0)
        self.fc7 = conv_bn_relu(wide, wide, 1, padding=0)
        self.fc6_deconv = conv_bn_relu(wide, deep, 7, 0, nn.ConvTranspose2d)
        self.decoder, before = nn.ModuleList(), deep
        for filters in ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64, 64)):
            stage = nn.Sequential()
            for count in filters:
                count = scaled(count, width)
                stage.append(conv_bn_relu(before, count, convolution=nn.ConvTranspose2d))
                before = count
            self.decoder.append(stage)
        self.scores = nn.Conv2d(before, classes, 1)

    def forward(self, x):
        pooled = []
        for stage in self.encoder:
            x = stage(x)
            size = x.shape[2:]
            x, indices = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
            pooled.append((indices, size))
        x = self.fc6_deconv(self.fc7(self.fc6(x)))
        for stage in self.decoder:
            indices, size = pooled.pop()
            x = stage(F.max_unpool2d(x, indices, 2, output_size=size))
        return self.scores(x)


class SegNetBasic(nn.Module):
    """Badrinarayanan et al. 2017, section 3.3, with the biases of the released net."""

    def __init__(self, classes, width=1.0):
        super().__init__()
        filters = scaled(64, width)
        self.normalisation = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        self.encoder = nn.ModuleList(
            conv_bn_relu(3 if i == 0 else filters, filters, 7, 3) for i in range(4)
        )
        self.decoder = nn.ModuleList(
            conv_bn_relu(filters, filters, 7, 3)[:2]
            for _ in range(4)  # no ReLU
        )
        self.scores = nn.Conv2d(filters, classes, 1)

    def forward(self, x):
        x = self.normalisation(255 * x)
        pooled = []
        for stage in self.encoder:
            x = stage(x)
            size = x.shape[2:]
            x, indices = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
            pooled.append((indices, size))
        for stage in self.decoder:
            indices, size = pooled.pop()
            x = stage(F.max_unpool2d(x, indices, 2, output_size=size))
        return self.scores(x)


class LargeFOV(nn.Module):
    """Chen et al. 2015, DeepLab-LargeFOV, for images of 8n + 1."""

    def __init__(self, classes, width=1.0):
        super().__init__()
        wide = scaled(1024, width)
        self.encoder = vgg16_stages(width, padding=2, rate=2)
        self.fc6 = conv_relu(scaled(512, width), wide, padding=12, rate=12)
        self.fc7 = conv_relu(wide, wide, 1, padding=0)
        self.scores = nn.Conv2d(wide, classes, 1)

    def forward(self, image):
        x = image
        for stage, stride in zip(self.encoder, (2, 2, 2, 1, 1)):
            x = F.max_pool2d(stage(x), 3, stride, 1)
        x = F.avg_pool2d(x, 3, 1, 1)
        x = self.scores(self.fc7(self.fc6(x)))
        return F.interpolate(x, image.shape[2:], mode="bilinear", align_corners=True)


class DilatedNet(nn.Module):
    """Yu and Koltun 2016, section 4 and table 1, for images of 8n; channels of the context."""

    def __init__(self, classes, width=1.0, context=()):
        super().__init__()
        wide = scaled(4096, width)
        unpadded = functools.partial(conv_relu, padding=0)
        self.encoder = vgg16_stages(width, unpadded, rate=2)
        self.fc6 = unpadded(scaled(512, width), wide, 7, rate=4)
        self.fc7 = unpadded(wide, wide, 1)
        self.scores = nn.Conv2d(wide, classes, 1)
        self.context, before = nn.Sequential(), classes
        for rate, channels in zip((1, 1, 2, 4, 8, 16, 1), context):
            self.context.append(conv_relu(before, channels, padding=rate, rate=rate))
            before = channels
        if context:
            self.context.append(nn.Conv2d(before, classes, 1))

    def forward(self, image):
        x = F.pad(image, 4 * [186], mode="reflect")
        for i, stage in enumerate(self.encoder):
            x = stage(x)
            x = F.max_pool2d(x, 2) if i < 3 else x
        x = self.context(self.scores(self.fc7(self.fc6(x))))
        return F.interpolate(x, scale_factor=8, mode="bilinear", align_corners=False)


def outputs_of_both(model, network, images):
    """What a Keras model and a PyTorch network give, both with random weights of the network."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.normal_(module.bias, 0, 0.1)
    with_random_statistics(network)
    load_torch_weights(model, network.state_dict(), batch_norm_epsilon=None)
    with torch.no_grad():
        theirs = network.eval()(torch.tensor(images).permute(0, 3, 1, 2))
    return outputs(model, images), theirs.permute(0, 2, 3, 1).numpy()
