#!/usr/bin/python3
"""Exports networks of torchvision to ONNX, for the comparison with peers.

usage: export.py FOLDER NAME...        (resnet18, convnext_tiny, ...)

Writes FOLDER/NAME/model.onnx where it is not there yet: random weights, 224 x
224 pixels, the batch left open. Batch normalisation has seen a batch of noise,
so that numbers keep their scale through the network: what decays to denormals
would cost a processor a hundred times as much.
"""
import os
import sys
import warnings

import torch
import torchvision

OPSET = int(os.environ.get("BENCH_OPSET", "13"))


def calibrate(model, images):
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the plain mean
            module.reset_running_stats()
    model.train()
    with torch.no_grad():
        model(images)
    model.eval()


def export(name, path):
    torch.manual_seed(1)
    model = getattr(torchvision.models, name)(weights=None)
    images = torch.randn(4, 3, 224, 224)
    calibrate(model, images)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    axes = {"images": {0: "batch"}, "logits": {0: "batch"}}
    torch.onnx.export(model, images[:1], path + ".new", opset_version=OPSET,
                      input_names=["images"], output_names=["logits"],
                      dynamic_axes=axes)
    os.rename(path + ".new", path)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    warnings.filterwarnings("ignore")
    for name in sys.argv[2:]:
        path = os.path.join(sys.argv[1], name, "model.onnx")
        if not os.path.exists(path):
            print(f"exporting {name}", file=sys.stderr, flush=True)
            export(name, path)


if __name__ == "__main__":
    main()
