"""The peer: the smallest Django view that classifies an upload with PyTorch.

    MODEL=models/zoo/NAME gunicorn --workers 2 peer:application

It does for each request what such views do: load the picture, resize it, run
the network, answer JSON. No cache, no queue. The network is the bundled one,
with its weights, as PyTorch modules.
"""
import io
import json
import os

import django
import numpy
import onnx
import onnx.numpy_helper
import torch
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from PIL import Image

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a benchmark",
    DATA_UPLOAD_MAX_MEMORY_SIZE=32 << 20,
)
django.setup()

FOLDER = os.environ["MODEL"]


class Gelu(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.gelu(x)


def convolution(node, weights):
    w = weights[node.input[1]]
    attributes = {a.name: list(a.ints) for a in node.attribute if a.ints}
    conv = torch.nn.Conv2d(
        w.shape[1], w.shape[0], w.shape[2:],
        stride=attributes.get("strides", [1, 1]),
        padding=attributes.get("pads", [0, 0])[:2],
        bias=len(node.input) > 2)
    conv.weight.data = w
    if len(node.input) > 2:
        conv.bias.data = weights[node.input[2]]
    return conv


def max_pool(node, weights):
    attributes = {a.name: list(a.ints) for a in node.attribute if a.ints}
    return torch.nn.MaxPool2d(attributes["kernel_shape"],
                              attributes["strides"])


def batch_norm(node, weights):
    scale, bias, mean, variance = (weights[name] for name in node.input[1:5])
    norm = torch.nn.BatchNorm2d(len(scale))
    norm.weight.data, norm.bias.data = scale, bias
    norm.running_mean, norm.running_var = mean, variance
    norm.eps = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
    return norm


def linear(node, weights):
    w = weights[node.input[1]]
    layer = torch.nn.Linear(w.shape[1], w.shape[0])
    layer.weight.data, layer.bias.data = w, weights[node.input[2]]
    return layer


LAYERS = {
    "Conv": convolution,
    "BatchNormalization": batch_norm,
    "MaxPool": max_pool,
    "Erf": lambda node, weights: Gelu(),
    "GlobalAveragePool": lambda node, weights: torch.nn.AdaptiveAvgPool2d(1),
    "Flatten": lambda node, weights: torch.nn.Flatten(),
    "Gemm": linear,
}
PARTS_OF_GELU = {"Constant", "Div", "Mul", "Add"}


def load_network():
    graph = onnx.load(os.path.join(FOLDER, "model.onnx")).graph
    weights = {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy())
               for t in graph.initializer}
    layers = [LAYERS[node.op_type](node, weights) for node in graph.node
              if node.op_type not in PARTS_OF_GELU]
    return torch.nn.Sequential(*layers).eval()


def load_json(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return json.load(file)


network = load_network()
labels = load_json("config.json")["id2label"]
preprocessing = load_json("preprocessor_config.json")
mean = numpy.array(preprocessing["image_mean"], dtype="float32")
deviation = numpy.array(preprocessing["image_std"], dtype="float32")


def predict(request):
    picture = Image.open(io.BytesIO(request.body)).convert("RGB").resize((32, 32))
    x = (numpy.asarray(picture, dtype="float32") / 255 - mean) / deviation
    x = torch.from_numpy(x.transpose(2, 0, 1)[None])
    with torch.no_grad():
        scores = torch.softmax(network(x), 1)[0]
    best = scores.topk(5)
    return JsonResponse({"predictions": [
        {"label": labels[str(int(i))], "score": float(s)}
        for s, i in zip(best.values, best.indices)]})


def ping(request):
    """The fastest answer that Django has: what a cached one could not beat."""
    return JsonResponse({"predictions": []})


urlpatterns = [path("predict", predict), path("ping", ping)]
application = get_wsgi_application()
