"""Trains the bundled network's recipe in small, without one ingredient at a
time, and prints what each brought.

    python3 ablation.py CONVOY_MODEL DATA FOLDER [NAME]

DATA/cifar10 has CIFAR-10's training files; the last 5,000 images are held out.
With NAME the recipe alone is trained, by a program that was built without
something that has no option. Each run is kept in FOLDER: what is there is not
trained again, and what was broken off goes on.
"""
import json
import os
import subprocess
import sys

SEEDS = (1, 2)
RECIPE = {
    "architecture": "airbench-residual",
    "width": 0.5,
    "epochs": 8,
    "lr": 9,
    "weight-decay": 0.012,
    "label-smoothing": 0.2,
    "translate": 4,
    "zoom": 0.25,
    "cutout": 8,
}
WITHOUT = {
    "the recipe": {},
    "third convolutions and shortcuts": {"architecture": "airbench"},
    "mirroring": {"no-flip": None},
    "moves": {"translate": 0},
    "zoom": {"zoom": 0},
    "cutout": {"cutout": 0},
    "label smoothing": {"label-smoothing": 0},
    "weight decay": {"weight-decay": 0},
}

program, data, folder = sys.argv[1:4]
files = [os.path.join(data, f"cifar10/data_batch_{i}.bin") for i in range(1, 6)]


def train(name, options, seed):
    out = os.path.join(folder, f"{name} {seed}".replace(" ", "-"))
    result = f"{out}.json"
    if not os.path.exists(result):
        words = [program, "train", "--cifar10", *files, "--out", out, "--json"]
        if os.path.exists(os.path.join(out, "checkpoint")):
            words.append("--resume")
        for option, value in {**RECIPE, **options, "seed": seed}.items():
            words += [f"--{option}"] + ([] if value is None else [str(value)])
        printed = subprocess.run(words, check=True, stdout=subprocess.PIPE)
        with open(result, "wb") as file:
            file.write(printed.stdout)
    with open(result, encoding="utf-8") as file:
        return 100 * json.load(file)["top1"]


os.makedirs(folder, exist_ok=True)
rows = {sys.argv[4]: {}} if len(sys.argv) > 4 else WITHOUT
print("| without | " + " | ".join(f"seed {seed}" for seed in SEEDS) + " | points |")
print("| --- |" + " ---: |" * (len(SEEDS) + 1))
base = None
for name, options in rows.items():
    got = [train(name, options, seed) for seed in SEEDS]
    mean = sum(got) / len(got)
    base = mean if base is None else base
    cells = [f"{top1:.2f} %" for top1 in got] + [f"{mean - base:+.2f}"]
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
