"""U-Net, SegNet and FC-DenseNet in plain PyTorch, written from the papers."""

import torch
from torch import nn
from torch.nn import functional as F

EPSILON = 1e-3  # Keras's


def conv_bn_relu(inputs, outputs, padding=1, bias=True):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=padding, bias=bias),
        nn.BatchNorm2d(outputs, eps=EPSILON),
        nn.ReLU(),
    )


def crop(x, like):
    """The middle of `x`, as large as `like`."""
    top, left = (x.shape[2] - like.shape[2]) // 2, (x.shape[3] - like.shape[3]) // 2
    return x[:, :, top : top + like.shape[2], left : left + like.shape[3]]


class UNet(nn.Module):
    """Ronneberger et al. 2015, figure 1; `padding` 0 without normalisation is the paper's."""

    def __init__(
        self, channels, classes, filters=(64, 128, 256, 512, 1024), padding=1, batch_norm=True
    ):
        super().__init__()
        self.padding, self.batch_norm = padding, batch_norm
        self.down = nn.ModuleList()
        before = channels
        for after in filters:
            self.down.append(self.double_conv(before, after))
            before = after
        self.up = nn.ModuleList()
        for after in filters[-2::-1]:
            conv = nn.ConvTranspose2d(before, after, 2, stride=2)
            self.up.append(nn.ModuleList([conv, self.double_conv(2 * after, after)]))
            before = after
        self.scores = nn.Conv2d(before, classes, 1)

    def double_conv(self, before, after):
        return nn.Sequential(*(self.conv(inputs, after) for inputs in (before, after)))

    def conv(self, inputs, outputs):
        if self.batch_norm:
            return conv_bn_relu(inputs, outputs, self.padding, bias=False)
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=self.padding), nn.ReLU())

    def forward(self, x):
        skips = []
        for i, stage in enumerate(self.down):
            x = stage(F.max_pool2d(x, 2) if i else x)
            skips.append(x)
        skips.pop()
        for up, convs in self.up:
            x = up(x)
            x = convs(torch.cat([crop(skips.pop(), x), x], 1))
        return self.scores(x)


class SegNet(nn.Module):
    """Badrinarayanan et al. 2017, section 3: VGG-16's convolutions, their mirror, and indices."""

    def __init__(self, channels, classes, filters=(64, 128, 256, 512, 512)):
        super().__init__()
        self.encoder = nn.ModuleList()
        before = channels
        for after, depth in zip(filters, (2, 2, 3, 3, 3)):
            widths = [before] + depth * [after]
            self.encoder.append(nn.Sequential(*map(conv_bn_relu, widths[:-1], widths[1:])))
            before = after
        self.decoder = nn.ModuleList()
        narrower = (*filters[-2::-1], classes)
        for before, after, depth in zip(filters[::-1], narrower, (3, 3, 3, 2, 2)):
            widths = depth * [before] + [after]
            stage = list(map(conv_bn_relu, widths[:-1], widths[1:]))
            if after == classes:
                stage[-1] = stage[-1][0]
            self.decoder.append(nn.Sequential(*stage))

    def forward(self, x):
        pooled = []
        for stage in self.encoder:
            x = stage(x)
            size = x.shape[2:]
            x, indices = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
            pooled.append((indices, size))
        for stage in self.decoder:
            indices, size = pooled.pop()
            x = stage(F.max_unpool2d(x, indices, 2, output_size=size))
        return x


class DenseLayer(nn.Module):
    def __init__(self, inputs, growth, kernel_size=3):
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs, eps=EPSILON)
        self.conv = nn.Conv2d(inputs, growth, kernel_size, padding=kernel_size // 2)

    def forward(self, x):
        return F.dropout(self.conv(F.relu(self.norm(x))), 0.2, self.training)


class FCDenseNet(nn.Module):
    """Jégou et al. 2017, tables 1 and 2; odd sizes as the authors treat them."""

    def __init__(self, channels, classes, first=48, growth=12, down=(4,) * 5, bottleneck=4):
        super().__init__()
        self.first = nn.Conv2d(channels, first, 3, padding=1)
        self.down = nn.ModuleList()
        maps, skips = first, []
        for depth in down:
            block = self.block(maps, growth, depth)
            maps += depth * growth
            skips.append(maps)
            self.down.append(nn.ModuleList([block, DenseLayer(maps, maps, kernel_size=1)]))
        self.bottleneck = self.block(maps, growth, bottleneck)
        new = bottleneck * growth
        self.up = nn.ModuleList()
        for depth in down[::-1]:
            up = nn.ConvTranspose2d(new, new, 3, stride=2)
            maps = new + skips.pop()
            self.up.append(nn.ModuleList([up, self.block(maps, growth, depth)]))
            new = depth * growth
            maps += new
        self.scores = nn.Conv2d(maps, classes, 1)

    @staticmethod
    def block(maps, growth, depth):
        return nn.ModuleList([DenseLayer(maps + i * growth, growth) for i in range(depth)])

    @staticmethod
    def run(block, x):
        """All maps, and the new ones among them."""
        start = x.shape[1]
        for layer in block:
            x = torch.cat([x, layer(x)], 1)
        return x, x[:, start:]

    def forward(self, x):
        x = self.first(x)
        skips = []
        for block, transition in self.down:
            x, _ = self.run(block, x)
            skips.append(x)
            x = F.max_pool2d(transition(x), 2)
        _, new = self.run(self.bottleneck, x)
        for up, block in self.up:
            skip = skips.pop()
            x, new = self.run(block, torch.cat([crop(up(new), skip), skip], 1))
        return self.scores(x)


def with_random_statistics(network):
    """The network with weights and statistics in which every number counts, always the same."""
    generator = torch.Generator().manual_seed(0)
    ranges = {"weight": (0.5, 1.5), "running_mean": (-0.5, 0.5), "running_var": (0.5, 2.0)}
    for module in network.modules():
        is_normalisation = isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm))
        for name, tensor in module.state_dict().items():
            if "." in name or tensor.ndim == 0:
                continue
            low, high = ranges.get(name, (-0.5, 0.5))
            if name == "weight" and not is_normalisation:
                high = (6 / tensor[0].numel()) ** 0.5  # of He: maps neither fade nor grow
                low = -high
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
    return network.eval()
