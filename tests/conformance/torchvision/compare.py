"""Exports networks of torchvision and compares Convoy with ONNX Runtime.

    python3 compare.py CONVOY-MODEL [--opset N]... [NAME...]

Every network is exported with a batch left open, at opset 13 and 17, and run
with one picture and with five. No number may be further from ONNX Runtime's
than 1e-4 x max(1, |its number|). A line a comparison: network, opset, batch,
the worst difference in these terms, the largest number, ok or what failed.
"""
import argparse
import fnmatch
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy
import torch

import networks

HERE = pathlib.Path(__file__).resolve().parent
BATCHES = (1, 5)
TOLERANCE = 1e-4


def export(network, size, opset, path):
    # Swin v2 zeroes a part of a bias, which the exporter has no operator for.
    torch.onnx.register_custom_op_symbolic(
        "aten::zero", lambda g, x: g.op("Sub", x, x), opset)
    example = torch.from_numpy(networks.pictures(2, size, seed=2))
    open_batch = {0: "batch"}
    torch.onnx.export(network, example, str(path), opset_version=opset,
                      input_names=["input"], output_names=["output"],
                      dynamic_axes={"input": open_batch,
                                    "output": open_batch})


def run(*command):
    done = subprocess.run([str(word) for word in command],
                          capture_output=True, text=True)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise RuntimeError(words[-1] if words else
                           f"{command[0]}: status {done.returncode}")


def reference(model, inputs, work):
    """ONNX Runtime's numbers, flat, for each of the inputs."""
    words, outputs = [], []
    for i, x in enumerate(inputs):
        raw, out = work / f"{i}.in", work / f"{i}.out"
        x.tofile(raw)
        words += [raw, out, "x".join(map(str, x.shape))]
        outputs.append(out)
    run("node", HERE / "reference.mjs", model, *words)
    return [numpy.fromfile(out, "float32") for out in outputs]


def convoy(program, model, x, work):
    source, target = work / "in.npy", work / "out.npy"
    numpy.save(source, x)
    run(program, "run", model, "--input", source, "--output", target)
    return numpy.load(target).flatten()


def difference(got, want):
    """The worst, in units of max(1, |want|)."""
    if got.shape != want.shape:
        raise RuntimeError(f"{got.size} numbers instead of {want.size}")
    apart = numpy.abs(got - want) / numpy.maximum(1, numpy.abs(want))
    return apart.max() if numpy.isfinite(apart).all() else numpy.inf


def compare(program, name, network, size, opset, work):
    """A line a batch; the number of those that failed."""
    model = work / "model.onnx"
    inputs = [networks.pictures(batch, size, seed=batch) for batch in BATCHES]
    try:
        export(network, size, opset, model)
        wanted = reference(model, inputs, work)
    except Exception as error:  # what exporters raise has no common class
        print(f"{name:20} {opset:5}     -  FAIL: {error}", flush=True)
        return len(BATCHES)
    failed = 0
    for x, want in zip(inputs, wanted):
        row = f"{name:20} {opset:5} {len(x):5}"
        try:
            worst = difference(convoy(program, model, x, work), want)
            well = worst <= TOLERANCE
            row += (f"  {worst:8.1e} {numpy.abs(want).max():8.3g}  "
                    f"{'ok' if well else 'FAIL'}")
        except RuntimeError as error:
            well = False
            row += f"  FAIL: {error}"
        print(row, flush=True)
        failed += not well
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", metavar="CONVOY-MODEL")
    parser.add_argument("--opset", type=int, action="append")
    parser.add_argument("patterns", metavar="NAME", nargs="*")
    options = parser.parse_intermixed_args()
    patterns = options.patterns or ["*"]
    chosen = [name for name in networks.names()
              if any(fnmatch.fnmatch(name, p) for p in patterns)]
    if not chosen:
        sys.exit(f"compare.py: torchvision has no such network; "
                 f"it has {' '.join(networks.names())}")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # on shapes that tracing fixes

    opsets = options.opset or [13, 17]
    total = failed = 0
    print(f"{'network':20} opset batch     worst  largest")
    for name in chosen:
        network, size = networks.build(name)
        for opset in opsets:
            with tempfile.TemporaryDirectory(prefix="convoy-") as work:
                failed += compare(options.program, name, network, size, opset,
                                  pathlib.Path(work))
            total += len(BATCHES)
    print(f"{total - failed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)


main()
