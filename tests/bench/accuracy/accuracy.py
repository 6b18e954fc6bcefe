"""Prints how good the bundled model is, and how sure of what is none of its
classes.

    python3 accuracy.py CONVOY_MODEL MODEL DATA

DATA/cifar10/test_batch.bin, CIFAR-10's own test, and of data_batch_5.bin the last
pictures, as many as the model's config.json says were held out, are looked at once,
mirrored as well, and moved as well; what is not there is left out. DATA/photos:
photographs of a cat, birds and a dog, looked at as the model's folder says, and
two that show none of the classes. The other pictures of nothing are made here.
"not sure" is the share that a client is told "confident": false of.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy
from PIL import Image

RECORD = 1 + 3 * 32 * 32
EACH, SIDE = 100, 96
PHOTOS = {
    "cat.bmp": "cat",
    "cat_720p.jpg": "cat",
    "bird.bmp": "bird",
    "parrot.jpg": "bird",
    "owl.jpg": "bird",
    "dog_test_0.bmp": "dog",
}

rng = numpy.random.default_rng(1)


def flat():
    return numpy.broadcast_to(rng.integers(0, 256, 3), (SIDE, SIDE, 3))


def noise():
    return rng.integers(0, 256, (SIDE, SIDE, 3))


def blobs():
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3)).astype("uint8"))
    return numpy.asarray(coarse.resize((SIDE, SIDE), Image.BICUBIC))


def stripes():
    colours, width = rng.integers(0, 256, (2, 3)), rng.integers(2, SIDE // 4)
    rows = colours[numpy.arange(SIDE) // width % 2]
    return numpy.broadcast_to(rows[:, None], (SIDE, SIDE, 3))


def model(command, *words):
    words = [sys.argv[1], command, sys.argv[2], *words, "--json"]
    return json.loads(subprocess.run(words, check=True, capture_output=True).stdout)


def evaluate(name, pictures):
    for views in (1, 2, 6):
        got = model("eval", "--cifar10", pictures, "--views", str(views))
        print(
            f"{got['images']} {name}, {views} view{'s'[: views > 1]}: "
            f"{100 * got['top1']:.2f} %, calibration error {got['ece']:.4f}"
        )


def accuracy(folder):
    with open(os.path.join(sys.argv[2], "config.json"), encoding="utf-8") as file:
        held = json.load(file)["training"].get("validation_images", 0)
    data = os.path.join(sys.argv[3], "cifar10")
    test = os.path.join(data, "test_batch.bin")
    if os.path.exists(test):
        evaluate("test pictures", test)
    elif not held:
        print(f"Trained on all of CIFAR-10 but its test, which is not there: {test}")
    if held:
        held_out = os.path.join(folder, "held_out.bin")
        with open(os.path.join(data, "data_batch_5.bin"), "rb") as file:
            file.seek(-held * RECORD, os.SEEK_END)
            with open(held_out, "wb") as out:
                out.write(file.read())
        evaluate("held-out pictures", held_out)


def photographs():
    files = [os.path.join(sys.argv[3], "photos", name) for name in PHOTOS]
    answers = model("classify", *files)["images"]
    best = [answer["predictions"][0] for answer in answers]
    right = sum(b["label"] == label for b, label in zip(best, PHOTOS.values()))
    print(f"{right} of {len(PHOTOS)} photographs right:", end="")
    for name, b in zip(PHOTOS, best):
        print(f" {name} {b['label']} {b['score']:.2f}", end="")
    print()


def sureness(name, files):
    images = model("classify", *files)["images"]
    scores = sorted(image["predictions"][0]["score"] for image in images)
    unsure = sum(image.get("confident") is False for image in images)
    at = [scores[int(q * (len(scores) - 1))] for q in (0, 0.5, 0.95, 1)]
    print(
        f"{name:24}{len(scores):5}"
        + "".join(f"{score:8.2f}" for score in at)
        + f"{100 * unsure / len(scores):8.0f} %"
    )


def nothing(folder):
    print(f"\nbest score on{'':11}{'':5}{'least':>8}{'median':>8}{'95 %':>8}", end="")
    print(f"{'most':>8}{'not sure':>10}")
    for photo in ("hot_dog.jpg", "dragonfly.bmp"):
        sureness(photo, [os.path.join(sys.argv[3], "photos", photo)])
    for make in (flat, noise, blobs, stripes):
        files = []
        for i in range(EACH):
            files.append(os.path.join(folder, f"{make.__name__}{i}.png"))
            Image.fromarray(make().astype("uint8")).save(files[-1])
        sureness(make.__name__, files)


with tempfile.TemporaryDirectory() as scratch:
    accuracy(scratch)
    photographs()
    nothing(scratch)
