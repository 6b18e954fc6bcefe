"""Images a second in training: convoy-model train against PyTorch.

    usage: train.py CONVOY_MODEL [ROUNDS]

Both train airbench at width 1, in batches of 512 as the bundled network was, on
the same made-up pictures (what they show does not change the speed). They take
turns; medians are printed, and the ratio, which is what counts. Convoy's
figure is that of its third epoch, with augmentation and checkpoint; PyTorch's the
median of the steps after its first, forward, backward and optimiser alone.
"""

import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile

IMAGES, BATCH, CLASSES = 5120, 512, 10


def write_pictures(path):
    noise = random.Random(1)
    with open(path, "wb") as file:
        for i in range(IMAGES):
            file.write(bytes([i % CLASSES]) + noise.randbytes(3 * 32 * 32))


def convoy(program, pictures, threads):
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "train", "--cifar10", pictures, "--out", folder,
                   "--epochs", "3", "--batch", str(BATCH), "--validation", "0",
                   "--lr", "1", "--threads", str(threads)]
        out = subprocess.run(command, check=True, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
    return float(re.findall(r"([\d.]+) images/s", out.stderr)[-1])


def peer(layout, threads):
    out = subprocess.run([sys.executable, __file__, "--peer", layout,
                          str(threads)], check=True, stdout=subprocess.PIPE)
    return json.loads(out.stdout)


def peer_network():
    from torch import nn

    def block(before, after, pool):
        layers = [nn.Conv2d(before, after, 3, padding=1, bias=False)]
        if pool:
            layers.append(nn.MaxPool2d(2))
        return layers + [
            nn.BatchNorm2d(after), nn.GELU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after), nn.GELU()]

    whiten = nn.Conv2d(3, 24, 2)
    whiten.weight.requires_grad = False
    return nn.Sequential(
        whiten, nn.GELU(), *block(24, 64, True), *block(64, 256, True),
        *block(256, 256, False), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(256, CLASSES))


def peer_main(layout, threads):
    import time
    import torch
    torch.set_num_threads(threads)
    memory = getattr(torch, layout)
    network = peer_network().to(memory_format=memory).train()
    optimiser = torch.optim.SGD(
        [p for p in network.parameters() if p.requires_grad], lr=0.01,
        momentum=0.85, nesterov=True, weight_decay=5e-4)
    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.2)
    x = torch.randn(BATCH, 3, 32, 32).to(memory_format=memory)
    y = torch.randint(CLASSES, (BATCH,))
    seconds = []
    for _ in range(4):
        begun = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        loss(network(x), y).backward()
        optimiser.step()
        seconds.append(time.perf_counter() - begun)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"rate": BATCH / statistics.median(seconds[1:]),
                      "mib": usage.ru_maxrss / 1024}))


def main(program, rounds):
    threads = os.cpu_count()
    rates = {"all": [], "one": [], "contiguous_format": [],
             "channels_last": []}
    with tempfile.NamedTemporaryFile() as pictures:
        write_pictures(pictures.name)
        for _ in range(rounds):
            rates["all"].append(convoy(program, pictures.name, threads))
            rates["one"].append(convoy(program, pictures.name, 1))
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            if len(rates["all"]) == 1:
                mib = usage.ru_maxrss / 1024
            for layout in "contiguous_format", "channels_last":
                answer = peer(layout, threads)
                rates[layout].append(answer["rate"])
                peer_mib = answer["mib"]
    rate = {name: statistics.median(values) for name, values in rates.items()}
    torch = max(rate["contiguous_format"], rate["channels_last"])
    print(f"training airbench at width 1, batches of {BATCH}, "
          f"median of {rounds}")
    print(f"  convoy, {threads} threads    {rate['all']:7.0f} images/s, "
          f"{mib:.0f} MiB at most")
    print(f"  convoy, 1 thread     {rate['one']:7.0f} images/s: "
          f"{rate['all'] / rate['one'] / threads:.2f} of linear with {threads}")
    print(f"  PyTorch, {threads} threads   {torch:7.0f} images/s "
          f"(the better of its two layouts), {peer_mib:.0f} MiB at most")
    print(f"  ratio                {rate['all'] / torch:7.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer_main(sys.argv[2], int(sys.argv[3]))
    elif len(sys.argv) in (2, 3):
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 3)
    else:
        sys.exit(__doc__)
