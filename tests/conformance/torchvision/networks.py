"""torchvision's classifiers with random weights that keep numbers lively.

    network, size = networks.build("resnet18")      eval mode; (size, size) in

A network just made is a poor test: batch normalisation does nothing, biases,
layer scales and some heads are zero, and in plain stacks the numbers die out
on the way. So every parameter that is constant is made random around its
value, and a pass over pictures then scales each convolution and linear layer
to outputs of unit variance (Mishkin and Matas, "All you need is a good init",
arXiv 1511.06422) and gives each batch normalisation the statistics that it
meets, as training would. Its shifts are positive, so that most units are open:
around zero, every normalised layer would magnify rounding errors, whoever makes
them, to ten times as much at the end of Inception (Yang et al., "A mean field
theory of batch normalization", arXiv 1902.08129); training takes networks away
from there.
"""
import math

import numpy
import torch
from torch import nn
from torchvision import models

# Others take any size, and are trained with 224 or near it.
SIZES = {"inception_v3": 299, "swin_v2_t": 256, "swin_v2_s": 256,
         "swin_v2_b": 256}

# Above this many, a file is as large as what protobuf can hold; what is below
# has a smaller network of the same shape that runs.
PARAMETERS_MAX = 150e6


def names():
    """All that classify images, each family from its smallest on."""
    found = models.list_models(module=models)
    return [name for name in found
            if models.get_model_weights(name).DEFAULT.meta["num_params"]
            <= PARAMETERS_MAX]


def pictures(count, size, seed):
    """(count, 3, size, size): waves and grain, as far apart as normalised
    photographs."""
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[:size, :size]
    out = random.normal(0, 0.3, (count, 3, size, size))
    for plane in out.reshape(-1, size, size):
        for _ in range(6):
            a, b, phase, height = random.uniform([-.3, -.3, 0, 0],
                                                 [.3, .3, 6, 1])
            plane += height * numpy.sin(a * x + b * y + phase)
    return out.astype("float32")


def enliven(network):
    """Makes random what a new network has constant, and spreads linear layers,
    which transformers start too small for attention to matter."""
    for module in network.modules():
        linear = isinstance(module, (nn.Linear, nn.MultiheadAttention))
        for name, p in module.named_parameters(recurse=False):
            if linear and p.dim() == 2:
                nn.init.normal_(p, std=1 / math.sqrt(p.shape[1]))
            elif p.dim() == 3 and name != "layer_scale":
                nn.init.normal_(p, std=0.2)  # tokens, positions, temperatures
            elif isinstance(module, nn.BatchNorm2d) and name == "bias":
                nn.init.uniform_(p, 0.0, 1.0)
            elif p.numel() > 1 and p.std() == 0:
                value = p.flatten()[0].item()
                middle = 1.0 if value != 0 else 0.0  # 1e-6: a layer scale
                nn.init.uniform_(p, middle - 0.5, middle + 0.5)


def unit_variance(module, _, out):
    scale = 1 / max(out.std().item(), 1e-3)
    module.weight.mul_(scale)
    if module.bias is not None:
        module.bias.mul_(scale)
    return out * scale


def calibrate(network, size):
    hooks = []
    norms = [m for m in network.modules()
             if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            hooks.append(module.register_forward_hook(unit_variance))
    for norm in norms:
        norm.momentum = None  # the mean over all batches
        norm.train()
    network(torch.from_numpy(pictures(4, size, seed=1)))
    for hook in hooks:
        hook.remove()
    network.eval()


@torch.no_grad()
def build(name):
    torch.manual_seed(len(name))
    size = SIZES.get(name, 224)
    extra = {}
    if name in ("googlenet", "inception_v3"):
        extra["init_weights"] = False  # takes a minute, and is replaced anyway
    network = models.get_model(name, weights=None, **extra).eval()
    enliven(network)
    calibrate(network, size)
    return network, size
