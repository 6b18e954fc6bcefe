// What ONNX Runtime computes for raw float32 numbers.
//
//   node reference.mjs MODEL.onnx [INPUT OUTPUT SHAPE]...
//
// SHAPE is 5x3x224x224; the first output of the network is written.
import { readFileSync, writeFileSync } from 'node:fs';
import ort from 'onnxruntime-node';

const [model, ...runs] = process.argv.slice(2);
if (!model || runs.length === 0 || runs.length % 3 !== 0) {
  console.error('usage: node reference.mjs MODEL.onnx [INPUT OUTPUT SHAPE]...');
  process.exit(2);
}
const session = await ort.InferenceSession.create(model,
  { intraOpNumThreads: 1, logSeverityLevel: 3 });
for (let i = 0; i < runs.length; i += 3) {
  const [input, output, shape] = runs.slice(i, i + 3);
  const numbers = new Float32Array(new Uint8Array(readFileSync(input)).buffer);
  const { [session.outputNames[0]]: y } = await session.run({
    [session.inputNames[0]]:
      new ort.Tensor('float32', numbers, shape.split('x').map(Number)),
  });
  writeFileSync(output, new Uint8Array(y.data.buffer, y.data.byteOffset,
    y.data.byteLength));
}
