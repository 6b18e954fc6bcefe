#!/usr/bin/python3
"""Makes tests/data/images: one small picture in every format and flavour that
is served, each with its pixels as Pillow reads them (NAME.rgb, RGB bytes).

    tests/data/make_images.py        (needs python3-pil and python3-numpy)
"""
import os
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images")
W, H = 23, 14  # odd, and wider than high: turning it shows


def picture():
    y, x = np.mgrid[0:H, 0:W]
    rgb = np.stack([x * 255 // (W - 1), y * 255 // (H - 1),
                    (x + 2 * y) * 255 // (W + 2 * H - 3)], axis=-1)
    rgb[2:5, 3:9] = (250, 20, 10)  # a mark that no symmetry maps to itself
    return rgb.astype(np.uint8)


def keep(name, image):
    image.convert("RGB").tobytes()
    with open(os.path.join(FOLDER, name + ".rgb"), "wb") as f:
        f.write(image.convert("RGB").tobytes())


def over_white(image):
    rgba = np.asarray(image.convert("RGBA")).astype(float)
    alpha = rgba[..., 3:] / 255
    rgb = rgba[..., :3] * alpha + 255 * (1 - alpha)
    return Image.fromarray(np.floor(rgb + 0.5).astype(np.uint8))


def save(name, image, **options):
    path = os.path.join(FOLDER, name)
    image.save(path, **options)
    with Image.open(path) as back:
        back.load()
        shown = ImageOps.exif_transpose(back)
        keep(name, over_white(shown) if "A" in shown.getbands()
             or "transparency" in shown.info else shown)


def chunk(kind, body):
    return (struct.pack(">I", len(body)) + kind + body +
            struct.pack(">I", zlib.crc32(kind + body)))


def save_png(name, color, depth, rows, shown, interlace=0, extra=b""):
    """PNG flavours that Pillow does not write."""
    head = struct.pack(">IIBBBBB", W, H, depth, color, 0, 0, interlace)
    data = b"".join(b"\0" + row for row in rows)
    with open(os.path.join(FOLDER, name), "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra +
                chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))
    keep(name, shown)


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
         (1, 0, 2, 2), (0, 1, 1, 2))


def main():
    os.makedirs(FOLDER, exist_ok=True)
    rgb = picture()
    image = Image.fromarray(rgb)
    grey = image.convert("L")
    alpha = Image.fromarray(np.tile(
        np.linspace(0, 255, W).astype(np.uint8), (H, 1)))
    rgba = image.copy()
    rgba.putalpha(alpha)
    palette = image.quantize(32)

    save("rgb.png", image)
    save("rgba.png", rgba)
    save("grey.png", grey)
    save("grey-alpha.png", Image.merge("LA", (grey, alpha)))
    save("palette.png", palette)
    save("palette-clear.png", palette, transparency=3)
    save("bits.png", grey.point(lambda v: 255 * (v > 99)).convert("1"))
    deep = (rgb.astype(int) * 256 + 77).astype(">u2")
    save_png("rgb16.png", 2, 16, [row.tobytes() for row in deep], image)
    deep = (np.asarray(grey).astype(int) * 256 + 200).astype(">u2")
    save_png("grey16.png", 0, 16, [row.tobytes() for row in deep], grey)
    save_png("interlaced.png", 2, 8,
             [row.tobytes() for x, y, dx, dy in ADAM7
              for row in rgb[y::dy, x::dx]], image, interlace=1)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = image.transpose(Image.Transpose.ROTATE_270)
    save_png("turned.png", 2, 8, [row.tobytes() for row in rgb], turned,
             extra=chunk(b"eXIf", exif.tobytes()[6:]))

    save("rgb.bmp", image)
    save("palette.bmp", palette)
    save("grey.bmp", grey)
    save("palette.gif", palette)
    save("clear.gif", palette, transparency=3)
    save("moving.gif", palette, save_all=True, loop=0,
         append_images=[palette.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])

    save("444.jpg", image, quality=92, subsampling=0)
    save("420.jpg", image, quality=92, subsampling=2)
    save("progressive.jpg", image, quality=92, progressive=True)
    save("grey.jpg", grey, quality=92)
    save("cmyk.jpg", image.convert("CMYK"), quality=92)
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        save(f"turned-{orientation}.jpg", image, quality=92, subsampling=0,
             exif=exif)

    save("lossless.webp", image, lossless=True)
    save("lossy.webp", image, quality=90)
    save("alpha.webp", rgba, lossless=True, exact=True)
    save("moving.webp", image, lossless=True, save_all=True,
         append_images=[image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    exif[0x0112] = 8
    save("turned.webp", image, lossless=True, exif=exif)


main()
