#!/usr/bin/python3
"""Writes what Pillow makes of a resize, for tests/unit/test_resize.c.

    tests/data/make_resize.py > tests/data/resize.bin
    tests/data/make_resize.py SEED COUNT       other cases, drawn from SEED

Needs python3-pil and python3-numpy. Each case is a line

    FILTER IN_W IN_H  X0 Y0 X1 Y1  OUT_W OUT_H  SEED

(X0..Y1 the box that is resized, in sixteenths of a pixel) and then the
OUT_W * OUT_H * 3 bytes of the result. The source is a function of SEED that
the test knows, too: byte i is bits 16..23 of the i-th number of a linear
congruential generator, or 0 and 255 by its top bit where SEED is even.
"""
import random
import sys

import numpy as np
from PIL import Image

FIXED = [  # in_w, in_h, out_w, out_h
    (37, 29, 11, 9), (8, 8, 15, 13), (64, 3, 7, 3), (1, 1, 6, 4),
    (5, 120, 5, 9), (16, 16, 16, 16),
]


def source(seed, count):
    state, out = seed, np.empty(count, np.uint8)
    for i in range(count):
        state = (state * 1664525 + 1013904223) & 0xffffffff
        out[i] = state >> 16 & 255 if seed % 2 else 255 * (state >> 31)
    return out


def write(kind, in_w, in_h, box, out_w, out_h, seed):
    image = Image.fromarray(source(seed, in_w * in_h * 3).reshape(
        in_h, in_w, 3))
    result = image.resize((out_w, out_h), kind, [v / 16 for v in box])
    line = (kind, in_w, in_h, *box, out_w, out_h, seed)
    sys.stdout.buffer.write((" ".join(map(str, line)) + "\n").encode())
    sys.stdout.buffer.write(result.tobytes())


def main():
    if len(sys.argv) > 2:
        draw = random.Random(int(sys.argv[1]))
        for _ in range(int(sys.argv[2])):
            in_w, in_h, out_w, out_h = (draw.randint(1, 90) for _ in range(4))
            box = (draw.randint(0, 15), draw.randint(0, 15),
                   in_w * 16 - draw.choice((0, draw.randint(0, 15))),
                   in_h * 16 - draw.choice((0, draw.randint(0, 15))))
            if box[2] <= box[0] or box[3] <= box[1]:
                box = (0, 0, in_w * 16, in_h * 16)
            write(draw.randint(0, 5), in_w, in_h, box, out_w, out_h,
                  draw.randint(1, 9999))
        return
    for kind in range(6):
        for i, (in_w, in_h, out_w, out_h) in enumerate(FIXED):
            write(kind, in_w, in_h, (0, 0, in_w * 16, in_h * 16), out_w,
                  out_h, i + 1)
        write(kind, 20, 17, (4, 0, 20 * 16, 16 * 17 - 10), 9, 8, 7)


main()
