#!/usr/bin/python3
"""Quantises a network the ways that exporters do, to have quantised networks
to test with.

    quantise.py CONVOY-MODEL qdq|qlinear|dynamic IN.onnx OUT.onnx

qdq      weights int8 by channel, activations uint8: every convolution, Gemm,
         addition and pooling stands between DequantizeLinear and
         QuantizeLinear, biases are int32
qlinear  the same, with convolutions as QLinearConv
dynamic  DynamicQuantizeLinear and ConvInteger or MatMulInteger, uint8 weights

Ranges of activations are those of a few pictures of noise, taken by
convoy-model: good enough for numbers, not for recognising anything.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

QUANTISED = {'Conv', 'Gemm', 'Add', 'AveragePool', 'GlobalAveragePool',
             'MaxPool'}
ACTIVATIONS = {'Relu', 'Clip'}
OUTPUTS_MAX = 60  # that one run writes


class Network:
    """The graph that is written, and what is known of the one that is read."""

    def __init__(self, model):
        self.model = model
        self.weights = {i.name: numpy_helper.to_array(i)
                        for i in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == 'Constant' and node.attribute[0].name == 'value':
                self.weights[node.output[0]] = numpy_helper.to_array(
                    node.attribute[0].t)
            # Equal weights of several layers, as PyTorch's exporter has them.
            if node.op_type == 'Identity' and node.input[0] in self.weights:
                self.weights[node.output[0]] = self.weights[node.input[0]]
        self.nodes = []
        self.added = []
        self.readers = {}
        for node in model.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.ranges = {}

    def constant(self, name, array):
        self.added.append(numpy_helper.from_array(np.array(array, order='C'),
                                                  name))
        return name

    def add(self, op_type, inputs, outputs, **attributes):
        self.nodes.append(helper.make_node(op_type, inputs, outputs,
                                           outputs[0], **attributes))
        return outputs[0]

    def end_of(self, node):
        """The value to quantise: behind the activation, where one follows."""
        readers = self.readers.get(node.output[0], [])
        if len(readers) == 1 and readers[0].op_type in ACTIVATIONS:
            return readers[0].output[0]
        return node.output[0]

    def write(self, path):
        graph = self.model.graph
        del graph.node[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(self.added)
        read = {name for node in graph.node for name in node.input}
        for i in reversed(range(len(graph.initializer))):
            if graph.initializer[i].name not in read:
                del graph.initializer[i]
        onnx.save(self.model, path)


def calibrate(network, program, path, values):
    """Smallest and largest number of each value, over a few pictures."""
    model = onnx.load(path)
    port = model.graph.input[0]
    shape = [d.dim_value or [4, 3, 224, 224][i]
             for i, d in enumerate(port.type.tensor_type.shape.dim)]
    pictures = np.random.default_rng(1).uniform(-2, 2, shape)
    with tempfile.TemporaryDirectory() as work:
        def at(name):
            return os.path.join(work, name)
        np.save(at('in.npy'), pictures.astype(np.float32))
        for first in range(0, len(values), OUTPUTS_MAX):
            some = values[first:first + OUTPUTS_MAX]
            del model.graph.output[:]
            model.graph.output.extend(
                helper.make_tensor_value_info(v, TensorProto.FLOAT, None)
                for v in some)
            onnx.save(model, at('some.onnx'))
            outputs = [at(f'{i}.npy') for i in range(len(some))]
            subprocess.run([program, 'run', at('some.onnx'), '--input',
                            at('in.npy'), '--output', *outputs], check=True,
                           stdout=subprocess.DEVNULL)
            for value, output in zip(some, outputs):
                numbers = np.load(output)
                network.ranges[value] = (min(numbers.min(), 0),
                                         max(numbers.max(), 0))
    network.ranges[port.name] = (-2, 2)


def activation_scale(network, value):
    low, high = network.ranges[value]
    scale = np.float32((high - low) / 255 or 1)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255))


def quantise_weights(weights):
    """int8 by channel of axis 0, symmetric."""
    flat = np.abs(weights.reshape(weights.shape[0], -1)).max(1)
    scale = np.maximum(flat / 127, 1e-8).astype(np.float32)
    shape = (-1,) + (1,) * (weights.ndim - 1)
    return np.rint(weights / scale.reshape(shape)).astype(np.int8), scale


def parameters(network, value):
    """Names of scale and zero point of a value, made once."""
    scale, zero = activation_scale(network, value)
    names = value + '_scale', value + '_zero'
    if names[0] not in {i.name for i in network.added}:
        network.constant(names[0], scale)
        network.constant(names[1], zero)
    return list(names)


def quantise_value(network, value):
    network.add('QuantizeLinear', [value, *parameters(network, value)],
                [value + '_q'])


def dequantise_value(network, value):
    network.add('DequantizeLinear',
                [value + '_q', *parameters(network, value)], [value + '_dq'])


def weights_of(network, node):
    """int8 weights, their scale, and the int32 bias as names."""
    weights = network.weights[node.input[1]]
    name = node.output[0]
    w, scale = quantise_weights(weights)
    names = [network.constant(name + '_w', w),
             network.constant(name + '_w_scale', scale),
             network.constant(name + '_w_zero',
                              np.zeros(len(scale), np.int8))]
    if len(node.input) < 3:
        return names, None
    x_scale, _ = activation_scale(network, node.input[0])
    bias_scale = (x_scale * scale).astype(np.float32)
    bias = np.rint(network.weights[node.input[2]].astype(np.float64) /
                   bias_scale).clip(-2**31, 2**31 - 1)
    network.constant(name + '_b_scale', bias_scale)
    return names, network.constant(name + '_b', bias.astype(np.int32))


def attributes_of(node):
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def with_dequantised_weights(network, node):
    names, bias = weights_of(network, node)
    name = node.output[0]
    inputs = [node.input[0],
              network.add('DequantizeLinear', names, [name + '_w_dq'], axis=0)]
    if bias:
        inputs.append(network.add('DequantizeLinear', [bias, bias + '_scale'],
                                  [name + '_b_dq'], axis=0))
    return helper.make_node(node.op_type, inputs, node.output, node.name,
                            **attributes_of(node))


def statically(network, linear):
    """Every value of `ranges` is quantised where it is written."""
    values = set(network.ranges)
    source = network.model.graph.input[0].name
    replaced = {}

    def finish(value):
        quantise_value(network, value)
        dequantise_value(network, value)
        replaced[value] = value + '_dq'

    finish(source)
    for node in list(network.model.graph.node):
        end = network.end_of(node)
        first = node.input[0] if node.input else ''
        if linear and node.op_type == 'Conv' and end in values and \
                first in values:
            names, bias = weights_of(network, node)
            network.add('QLinearConv',
                        [first + '_q', *parameters(network, first), *names,
                         *parameters(network, end)] + ([bias] if bias else []),
                        [end + '_q'], **attributes_of(node))
            dequantise_value(network, end)
            replaced[end] = end + '_dq'
            continue
        if node.op_type in ACTIVATIONS and node.output[0] in replaced:
            continue
        if node.op_type in ('Conv', 'Gemm') and first in values:
            node = with_dequantised_weights(network, node)
        else:
            node = onnx.NodeProto.FromString(node.SerializeToString())
        for i, name in enumerate(node.input):
            node.input[i] = replaced.get(name, name)
        network.nodes.append(node)
        if node.output[0] in values:
            finish(node.output[0])
    for output in network.model.graph.output:
        if output.name in replaced:
            network.nodes.append(helper.make_node(
                'Identity', [replaced[output.name]], [output.name + '_out']))
            output.name += '_out'


def dynamically(network):
    """float -> bytes, sum, -> float around every convolution."""
    for node in list(network.model.graph.node):
        transposed = attributes_of(node).get('transB', 0) == 1
        if node.op_type != 'Conv' and not (node.op_type == 'Gemm' and
                                           transposed):
            network.nodes.append(node)
            continue
        name = node.output[0]
        w = network.weights[node.input[1]]
        scale = np.float32((w.max() - w.min()) / 255)
        zero = np.uint8(np.rint(-w.min() / scale))
        w = np.clip(np.rint(w / scale) + int(zero), 0, 255).astype(np.uint8)
        gemm = node.op_type == 'Gemm'
        network.constant(name + '_w', w.T if gemm else w)
        network.constant(name + '_w_scale', scale)
        network.constant(name + '_w_zero', zero)
        q, s, z = (name + end for end in ('_q', '_s', '_z'))
        network.add('DynamicQuantizeLinear', [node.input[0]], [q, s, z])
        network.add('MatMulInteger' if gemm else 'ConvInteger',
                    [q, name + '_w', z, name + '_w_zero'], [name + '_sum'],
                    **({} if gemm else attributes_of(node)))
        network.add('Cast', [name + '_sum'], [name + '_float'], to=1)
        network.add('Mul', [s, name + '_w_scale'], [name + '_scale'])
        last = name if len(node.input) < 3 else name + '_scaled'
        network.add('Mul', [name + '_float', name + '_scale'], [last])
        if len(node.input) > 2:
            bias = network.weights[node.input[2]]
            shape = [-1] if gemm else [-1, 1, 1]
            network.constant(name + '_bias', bias.reshape(shape))
            network.add('Add', [last, name + '_bias'], [name])


def main():
    program, form, source, target = sys.argv[1:]
    model = onnx.load(source)
    network = Network(model)
    if form == 'dynamic':
        dynamically(network)
    else:
        source_name = model.graph.input[0].name
        values = {v for n in model.graph.node if n.op_type in QUANTISED
                  for v in (network.end_of(n), n.input[0])}
        calibrate(network, program, source, sorted(values - {source_name}))
        statically(network, form == 'qlinear')
    network.write(target)


main()
