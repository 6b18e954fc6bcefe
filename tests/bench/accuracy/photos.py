"""Prints how many photographs the bundled model names right.

    python3 photos.py CONVOY_MODEL MODEL FOLDER

CIFAR-10's pictures are thumbnails that were cut to their subject; people drop
photographs. Debian has some that are free to use: of animals in gcompris-qt-data,
and of animals and vehicles, cut out, in tuxpaint-stamps-default. Both packages are
fetched and unpacked in FOLDER; nothing is installed. Three sets are made there:

    whole      photographs of animals, as they are
    composed   cut-outs at random sizes and places before random backgrounds,
               most of them smaller in the picture than anything in CIFAR-10
    none       photographs of tools, windmills, fish, buildings: none of the ten

The first two are looked at once and as the model's folder says; of the third,
"not sure" is the share that a client is told "confident": false of.
"""
import json
import pathlib
import random
import re
import struct
import subprocess
import sys

from PIL import Image, ImageFilter

PACKAGES = "gcompris-qt-data", "tuxpaint-stamps-default"
PER_CLASS = 40

# By class: resource of gcompris and the picture's number in it.
WHOLE = {
    "bird": {"erase": [3, 6, 8, 9, 19, 23, 24, 27],
             "explore_farm_animals": [0, 5], "explore_world_animals": [5]},
    "cat": {"erase": [32], "explore_farm_animals": [4]},
    "deer": {"erase": [12], "explore_world_animals": [1, 14]},
    "dog": {"explore_farm_animals": [7]},
    "horse": {"erase": [22], "explore_farm_animals": [3]},
}
BIRDS = """adelaide-rosella chicken_profile crowned_crane drake duck guineafowl hen
    heron_greatblue magellanic_penguin magpie ostrich owl pelican pink_flamingo
    rainbow-lorikeet rooster silver-gull turkey vulture""".split()
CUT_OUT = {
    "airplane": ["military/vehicles/f22_raptor", "vehicles/flight/planes/747"],
    "automobile": ["vehicles/auto/beetle", "vehicles/auto/sedan",
                   "vehicles/auto/sportscar2"],
    "bird": ["animals/birds/" + bird for bird in BIRDS],
    "deer": ["animals/mammals/bovines/indian_blackbuck"] + [
        "animals/mammals/deer/" + deer for deer in ("deer", "doe", "wapiti")],
    "dog": ["animals/mammals/dogs/dingo", "animals/mammals/dogs/dog"],
    "frog": ["animals/amphibians/frog-1", "animals/amphibians/frog"],
    "horse": ["animals/mammals/equines/horse"],
    "ship": ["vehicles/ship/chineseJunk", "vehicles/ship/walnutBoat"],
    "truck": ["vehicles/auto/truck", "vehicles/emergency/firetruck",
              "vehicles/garbagetruck"],
}
# What stands behind them: pictures of "categorization".
LAND, STREET, SKY, WATER = [4, 13, 16, 20], [4, 13, 104, 108], [20, 21, 99], [0, 9]
BEHIND = {"airplane": SKY, "automobile": STREET, "ship": WATER, "truck": STREET}
COLOURS = "white", "#c8dcf0", "#788c5a", "#5a5046"
NONE = "categorization"

program, model, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
chance = random.Random(1)


def unpack():
    root = folder / "unpacked"
    if not root.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download",
                        *PACKAGES], cwd=folder,
                       check=True, stdout=subprocess.DEVNULL)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, root], check=True)
            package.unlink()
    return root / "usr/share"


def webp(resource):
    """The WebP files in a Qt resource, which keeps them as they are."""
    data = resource.read_bytes()
    return [data[m.start():m.start() + 8 + struct.unpack("<I", m[1])[0]]
            for m in re.finditer(rb"RIFF(.{4})WEBP", data, re.DOTALL)]


class Pictures:
    """Of gcompris, unpacked as they are asked for."""

    def __init__(self, share):
        self.share, self.kept = share, {}

    def of(self, name):
        if name not in self.kept:
            self.kept[name] = webp(self.share / f"gcompris-qt/rcc/{name}.rcc")
        return self.kept[name]

    def write(self, name, number, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.of(name)[number])
        return path


def background(label, pictures, size, scratch):
    if chance.random() < 0.2:
        return Image.new("RGB", size, chance.choice(COLOURS))
    number = chance.choice(BEHIND.get(label, LAND))
    path = pictures.write("categorization", number, scratch / f"{number}.webp")
    picture = Image.open(path).convert("RGB").resize(size)
    return picture.filter(ImageFilter.GaussianBlur(chance.choice((0, 3, 8, 15))))


def compose(label, stamp, pictures, scratch):
    size = chance.choice([(640, 480), (480, 640), (640, 426), (600, 600), (640, 360)])
    picture = background(label, pictures, size, scratch)
    subject = Image.open(stamp).convert("RGBA")
    subject = subject.crop(subject.getchannel("A").getbbox())
    share = chance.uniform(0.45, 0.95)
    scale = share * min(size[0] / subject.width, size[1] / subject.height)
    subject = subject.resize([max(1, int(side * scale)) for side in subject.size],
                             Image.LANCZOS)
    if chance.random() < 0.5:
        subject = subject.transpose(Image.FLIP_LEFT_RIGHT)
    at = [int(room * min(1, max(0, chance.gauss(0.5, 0.2))))
          for room in (size[0] - subject.width, size[1] - subject.height)]
    picture.paste(subject, at, subject)
    return picture


def make():
    """The three sets, each a folder, made once."""
    sets = {name: folder / name for name in ("whole", "composed", "none")}
    if (folder / "made").exists():
        return sets
    share = unpack()
    pictures, scratch = Pictures(share), folder / "scratch"
    for label, resources in WHOLE.items():
        for resource, numbers in resources.items():
            for number in numbers:
                pictures.write(resource, number, sets["whole"] / label /
                               f"{resource}-{number}.webp")
    for label, stamps in CUT_OUT.items():
        (sets["composed"] / label).mkdir(parents=True, exist_ok=True)
        for i in range(PER_CLASS):
            stamp = share / f"tuxpaint/stamps/{stamps[i % len(stamps)]}.png"
            compose(label, stamp, pictures, scratch).save(
                sets["composed"] / label / f"{i:02}.jpg", quality=88)
    for number in range(len(pictures.of(NONE))):
        pictures.write(NONE, number, sets["none"] / f"{number}.webp")
    (folder / "made").touch()
    return sets


def ask(command, *words):
    words = [program, command, model, *map(str, words), "--json"]
    return json.loads(subprocess.run(words, check=True, capture_output=True).stdout)


def main():
    sets = make()
    for name in "whole", "composed":
        for views in 1, 0:
            got = ask("eval", "--folder", sets[name], "--views", views)
            print(f"{got['images']:4} {name}, looked at "
                  f"{'once' if views else 'as the folder says'}: "
                  f"{100 * got['top1']:.1f} %, by class "
                  f"{100 * got['balanced_accuracy']:.1f} %")
    answers = ask("classify", *sorted(sets["none"].iterdir()))["images"]
    scores = sorted(answer["predictions"][0]["score"] for answer in answers)
    unsure = sum(answer.get("confident") is False for answer in answers)
    print(f"{len(scores):4} of none of the classes: {100 * unsure / len(scores):.0f} % "
          f"\"not sure\", median of the best score {scores[len(scores) // 2]:.2f}")


main()
