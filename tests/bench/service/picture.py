"""Makes the pictures that the service is measured with.

    python3 picture.py FOLDER

small.bmp is of CIFAR-10's size, 32 x 32; photo.jpg has 640 x 480 with the
detail of a photograph (shapes, gradients and grain; some 60 KB). Prints for
each its file, type and where 16 bytes of it may be anything.
"""
import sys

import numpy
from PIL import Image

rng = numpy.random.default_rng(1)


def scene(width, height):
    """Octaves of noise, each half as strong and twice as fine."""
    total = numpy.zeros((height, width, 3))
    cells, strength = 4, 1.0
    while cells < width:
        noise = rng.random((cells * height // width + 2, cells + 2, 3))
        layer = Image.fromarray((noise * 255).astype("uint8"))
        layer = layer.resize((width, height), Image.BICUBIC)
        total += strength * numpy.asarray(layer)
        cells, strength = cells * 2, strength * 0.55
    total -= total.min()
    return Image.fromarray((total / total.max() * 255).astype("uint8"))


folder = sys.argv[1]
scene(32, 32).save(f"{folder}/small.bmp")
print("small.bmp image/bmp 54")
scene(640, 480).save(f"{folder}/photo.jpg", quality=85, comment=b"?" * 16)
with open(f"{folder}/photo.jpg", "rb") as file:
    print("photo.jpg image/jpeg", file.read().index(b"?" * 16))
