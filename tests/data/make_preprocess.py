#!/usr/bin/python3
"""Writes what Hugging Face's image processors make of a picture, for
tests/unit/test_preprocess.c.

    tests/data/make_preprocess.py > tests/data/preprocess.bin

Needs python3-pil and python3-numpy. transformers itself is not packaged by
Debian, so the steps are written out here after its image_transforms.py and
image_processing_*.py (version 4.40), on PIL and numpy as there. Each case is

    WIDTH HEIGHT  OUT_WIDTH OUT_HEIGHT  JSON

on a line and then 3 * OUT_HEIGHT * OUT_WIDTH float32, channels first. Byte i
of the picture is (i * i * 7 + i * 13) / 16 modulo 256.
"""
import json
import sys
from math import ceil

import numpy as np
from PIL import Image

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
BASE = {"do_resize": True, "resample": 2, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True,
        "image_mean": MEAN, "image_std": STD}


def shortest_edge(image, edge):
    w, h = image.size
    short, long = (w, h) if w <= h else (h, w)
    new = int(edge * long / short)
    return (edge, new) if w <= h else (new, edge)


def center_crop(pixels, height, width):
    h, w = pixels.shape[:2]
    top, left = (h - height) // 2, (w - width) // 2
    if top >= 0 and left >= 0 and top + height <= h and left + width <= w:
        return pixels[top:top + height, left:left + width]
    new_h, new_w = max(height, h), max(width, w)
    padded = np.zeros((new_h, new_w, 3), pixels.dtype)
    top_pad, left_pad = ceil((new_h - h) / 2), ceil((new_w - w) / 2)
    padded[top_pad:top_pad + h, left_pad:left_pad + w] = pixels
    top, left = top + top_pad, left + left_pad
    return padded[max(0, top):min(new_h, top + height),
                  max(0, left):min(new_w, left + width)]


def finish(pixels, c):
    x = pixels.astype(np.float32)
    if c.get("do_flip_channel_order"):
        x = x[..., ::-1]
    if c.get("do_rescale", True):
        x = (x.astype(np.float64) * c.get("rescale_factor", 1 / 255)
             - (1 if c.get("rescale_offset") else 0)).astype(np.float32)
    if c.get("do_normalize", "image_mean" in c):
        mean = np.broadcast_to(np.array(c["image_mean"], np.float32), 3)
        std = np.broadcast_to(np.array(c["image_std"], np.float32), 3)
        x = (x - mean) / std
        if c.get("include_top"):
            x = x / std
    return x.transpose(2, 0, 1)


def process(image, c, size, crop):
    """size: (w, h) to resize to, or None; crop: (h, w) or None."""
    if size:
        image = image.resize(size, c.get("resample", 2))
    pixels = np.asarray(image)
    if crop:
        pixels = center_crop(pixels, *crop)
    return finish(pixels, c)


def write(width, height, c, size, crop):
    i = np.arange(width * height * 3, dtype=np.int64)
    data = ((i * i * 7 + i * 13) // 16 % 256).astype(np.uint8)
    image = Image.fromarray(data.reshape(height, width, 3))
    size = size(image) if callable(size) else size
    x = np.ascontiguousarray(process(image, c, size, crop), dtype="<f4")
    line = f"{width} {height} {x.shape[2]} {x.shape[1]} {json.dumps(c)}\n"
    sys.stdout.buffer.write(line.encode())
    sys.stdout.buffer.write(x.tobytes())


def edge(n):
    return lambda image: shortest_edge(image, n)


def main():
    write(31, 20, {**BASE, "size": {"height": 8, "width": 10}}, (10, 8), None)
    write(31, 20, {**BASE, "size": 9, "resample": 3}, (9, 9), None)
    write(31, 20, {**BASE, "size": [6, 7], "resample": 0}, (7, 6), None)
    write(31, 20, {**BASE, "size": {"shortest_edge": 12}, "resample": 1,
                   "do_center_crop": True, "crop_size": 9}, edge(12), (9, 9))
    write(19, 33, {**BASE, "size": {"shortest_edge": 13},
                   "do_center_crop": True,
                   "crop_size": {"height": 8, "width": 10}},
          edge(13), (8, 10))
    # A crop larger than the picture, by odd and even amounts.
    write(30, 12, {**BASE, "size": {"shortest_edge": 7},
                   "do_center_crop": True,
                   "crop_size": {"height": 12, "width": 9}}, edge(7), (12, 9))
    write(9, 6, {**BASE, "do_resize": False, "do_center_crop": True,
                 "crop_size": {"height": 10, "width": 12}}, None, (10, 12))
    # Caffe's networks: BGR, means as bytes.
    write(20, 20, {**BASE, "size": {"height": 6, "width": 6},
                   "rescale_factor": 1.0, "do_flip_channel_order": True,
                   "image_mean": [104, 117, 123], "image_std": [1, 1, 1]},
          (6, 6), None)
    # ConvNeXt below 384: int(size / crop_pct), then the crop; above: warped.
    convnext = {**BASE, "image_processor_type": "ConvNextImageProcessor"}
    write(25, 18, {**convnext, "size": {"shortest_edge": 8},
                   "crop_pct": 0.75}, edge(10), (8, 8))
    write(25, 18, {**convnext, "size": 8}, edge(9), (8, 8))
    # PoolFormer: crop_pct and a crop of its own.
    write(25, 18, {**BASE, "image_processor_type": "PoolFormerImageProcessor",
                   "size": {"shortest_edge": 9}, "crop_pct": 0.9,
                   "do_center_crop": True,
                   "crop_size": {"height": 9, "width": 9}}, edge(10), (9, 9))
    # EfficientNet: an offset, and the deviation twice.
    write(25, 18, {**BASE, "size": {"height": 7, "width": 7}, "resample": 0,
                   "rescale_factor": 1 / 127.5, "rescale_offset": True,
                   "include_top": True,
                   "image_processor_type": "EfficientNetImageProcessor"},
          (7, 7), None)
    # MobileViT: no normalisation. One mean for all channels.
    write(25, 18, {"image_processor_type": "MobileViTImageProcessor",
                   "size": {"shortest_edge": 9}, "do_center_crop": True,
                   "crop_size": 8, "do_flip_channel_order": True,
                   "_valid_processor_keys": ["images"], "do_pad": None},
          edge(9), (8, 8))
    write(16, 16, {"size": 5, "image_mean": 0.5, "image_std": 0.5}, (5, 5),
          None)


main()
