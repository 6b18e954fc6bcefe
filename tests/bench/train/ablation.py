"""Trains the bundled network's recipe in small, without one ingredient at a
time, and prints what each brought.

    python3 ablation.py CONVOY_MODEL DATA FOLDER

DATA/cifar10 has CIFAR-10's training files; the last 5,000 images are held out.
What has no option is taken out of a copy of the source, which is built in
FOLDER. Each run is kept there: what is there is not trained again, and what was
broken off goes on.
"""
import json
import pathlib
import shutil
import subprocess
import sys

SEEDS = (1,)
RECIPE = {
    "architecture": "airbench-residual",
    "width": 0.35,
    "epochs": 6,
    "lr": 9,
    "weight-decay": 0.012,
    "label-smoothing": 0.2,
    "translate": 4,
    "zoom": 0.25,
    "cutout": 8,
    "photometric": 0.15,
    "outliers": 0.03,
}
# Options, or (file, text, what stands there instead) of the source.
WITHOUT = {
    "the recipe": {},
    "third convolutions and shortcuts": {"architecture": "airbench"},
    "mirroring": {"no-flip": None},
    "mirroring in turns (by chance instead)": [
        ("augment.c", "FLIP_STREAM | image);",
         "FLIP_STREAM | (uint64_t)(uint32_t)epoch << 32 | image);")],
    "moves": {"translate": 0},
    "zoom": {"zoom": 0},
    "cutout": {"cutout": 0},
    "other light, sharpness, compression": {"photometric": 0},
    "outliers": {"outliers": 0},
    "label smoothing": {"label-smoothing": 0},
    "weight decay": {"weight-decay": 0},
    "whitening": [("architecture.c", ".whiten = true,", "")],
    "identity filters at the start": [
        ("conv.c", "if (size % 2 == 0 || l->spec.stride != 1)",
         "if (size > 0)")],
    "64 times the rate for batch norm's biases": [
        ("architecture.c", ".lr_scale = 64,", "")],
    "lookahead": [
        ("trainer.c", "if (step + 1 == steps)", "if (steps < 0)"),
        ("trainer.c", "return every < 1 || step % every == 0;",
         "return false;")],
}

ROOT = pathlib.Path(__file__).resolve().parents[3]
program, data, folder = map(pathlib.Path, sys.argv[1:])
files = [data / f"cifar10/data_batch_{i}.bin" for i in range(1, 6)]


def build(name, changes):
    """The program without what the changes take away. What was compiled comes
    along, so that only what they change is compiled anew."""
    copy = folder / f"{name} source".replace(" ", "-")
    shutil.copytree(ROOT, copy, dirs_exist_ok=True, ignore=shutil.
                    ignore_patterns(".*", "tests", "zoo", "bench", "fuzz",
                                    "faults", "san-*", "check", "run"))
    for file, text, instead in changes:
        path = copy / "models/train" / file
        source = path.read_text(encoding="utf-8")
        if source.count(text) != 1:
            sys.exit(f"{path} does not have \"{text}\" once")
        path.write_text(source.replace(text, instead), encoding="utf-8")
    subprocess.run(["make", "-s", "-j2", "-C", copy, "build/bin/convoy-model"],
                   check=True, stdout=subprocess.DEVNULL)
    return copy / "build/bin/convoy-model"


def train(name, ingredient, seed):
    out = folder / f"{name} {seed}".replace(" ", "-")
    result = out.with_suffix(".json")
    if not result.exists():
        options = ingredient if isinstance(ingredient, dict) else {}
        words = [program if options is ingredient else build(name, ingredient),
                 "train", "--cifar10", *files, "--out", out, "--json"]
        if (out / "checkpoint").exists():
            words.append("--resume")
        for option, value in {**RECIPE, **options, "seed": seed}.items():
            words += [f"--{option}"] + ([] if value is None else [str(value)])
        printed = subprocess.run(words, check=True, stdout=subprocess.PIPE)
        result.write_bytes(printed.stdout)
    return 100 * json.loads(result.read_bytes())["top1"]


folder.mkdir(parents=True, exist_ok=True)
print("| without | " + " | ".join(f"seed {seed}" for seed in SEEDS) +
      " | it brings |")
print("| --- |" + " ---: |" * (len(SEEDS) + 1))
base = None
for row, ingredient in WITHOUT.items():
    got = [train(row, ingredient, seed) for seed in SEEDS]
    mean = sum(got) / len(got)
    base = mean if base is None else base
    cells = [f"{top1:.2f} %" for top1 in got] + [f"{base - mean:+.2f}"]
    print(f"| {row} | " + " | ".join(cells) + " |", flush=True)
