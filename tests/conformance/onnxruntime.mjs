// The engine's numbers against ONNX Runtime's, on whole networks: noise and
// smooth, photo-like pictures, faint and in the range of bytes, one at a time
// and several.
//
//   node onnxruntime.mjs [--quantised] CONVOY-MODEL MODEL...
//                                                     folders or .onnx files
//
// Agreement: no number differs by more than 1e-4, or by 1e-5 of the largest
// where the numbers are large; 1e-4 of it with --quantised. There, floats that
// differ in their last digit may also be rounded to different bytes, and what
// follows from such a step is seen at the end: fewer than half of a network's
// comparisons may be up to 1/32 of their largest number apart. A line a network
// and a closing line with totals.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import ort from 'onnxruntime-node';

const quantised = process.argv.includes('--quantised');
const [program, ...models] =
  process.argv.slice(2).filter((word) => word !== '--quantised');
if (!program || models.length === 0) {
  console.error('usage: node onnxruntime.mjs [--quantised] CONVOY-MODEL MODEL...');
  process.exit(2);
}

// Numerical Recipes' generator: the same pictures every time.
function random(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function noise(count, seed) {
  const next = random(seed);
  return Float32Array.from({ length: count }, () => 4 * next() - 2);
}

// Waves of a few lengths in each colour plane, and a little grain.
function smooth(count, seed, width) {
  const next = random(seed);
  const waves = Array.from({ length: 6 }, () => ({
    x: next() * 0.3, y: next() * 0.3, phase: next() * 6, height: next(),
  }));
  return Float32Array.from({ length: count }, (_, i) => {
    const x = i % width;
    const y = Math.floor(i / width);
    const sum = waves.reduce((total, w) =>
      total + w.height * Math.sin(w.x * x + w.y * y + w.phase), 0);
    return sum + 0.1 * (next() - 0.5);
  });
}

const bytes = (count, seed, width) =>
  smooth(count, seed, width).map((x) => 50 * x);

function writeNpy(path, shape, data) {
  const text = `{'descr': '<f4', 'fortran_order': False, ` +
    `'shape': (${shape.join(', ')},), }`;
  const head = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + '\n';
  const start = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1');
  start.writeUInt16LE(head.length, 8);
  writeFileSync(path, Buffer.concat([start, Buffer.from(head, 'latin1'),
    Buffer.from(data.buffer, data.byteOffset, data.byteLength)]));
}

function readNpy(path) {
  const bytes = readFileSync(path);
  const head = bytes.toString('latin1', 10, 10 + bytes.readUInt16LE(8));
  if (!head.includes("'descr': '<f4'")) throw new Error(`${path}: ${head}`);
  const data = bytes.subarray(10 + head.length);
  return new Float32Array(new Uint8Array(data).buffer);
}

// Largest difference, and the largest number.
function difference(got, want) {
  if (got.length !== want.length) {
    throw new Error(`${got.length} numbers instead of ${want.length}`);
  }
  let most = 0;
  let largest = 0;
  for (let i = 0; i < want.length; i++) {
    const apart = Math.abs(got[i] - want[i]);
    if (Number.isNaN(apart)) throw new Error(`${got[i]} for ${want[i]}`);
    most = Math.max(most, apart);
    largest = Math.max(largest, Math.abs(want[i]));
  }
  return { most, largest };
}

async function compare(session, model, batch, make, work) {
  const port = session.inputMetadata[0];
  const declared = port.shape.map((dim, i) =>
    typeof dim === 'number' && dim > 0 ? dim : [batch, 3, 224, 224][i]);
  const count = declared.reduce((a, b) => a * b, 1);
  const data = make(count, 7 + batch, declared[3]);
  const input = join(work, 'in.npy');
  const output = join(work, 'out.npy');

  writeNpy(input, declared, data);
  execFileSync(program, ['run', model, '--input', input, '--output', output],
    { stdio: ['ignore', 'ignore', 'inherit'] });
  const { [session.outputNames[0]]: want } = await session.run(
    { [port.name]: new ort.Tensor('float32', data, declared) });
  return difference(readNpy(output), want.data);
}

const work = mkdtempSync(join(tmpdir(), 'convoy-conformance-'));
let passed = 0;
let failed = 0;
try {
  for (const model of models) {
    try {
      const file = model.endsWith('.onnx') ? model : join(model, 'model.onnx');
      const session = await ort.InferenceSession.create(file,
        { intraOpNumThreads: 1, logSeverityLevel: 3 });
      const open = typeof session.inputMetadata[0].shape[0] !== 'number';
      const apart = [];
      for (const batch of open ? [1, 5] : [1]) {
        for (const make of [noise, smooth, bytes]) {
          apart.push(await compare(session, model, batch, make, work));
        }
      }
      const largest = Math.max(...apart.map((d) => d.largest));
      const bound = Math.max(1e-4, (quantised ? 1e-4 : 1e-5) * largest);
      const over = apart.filter((d) => d.most > bound);
      const well = over.length === 0 || (quantised &&
        over.length < apart.length / 2 &&
        over.every((d) => d.most <= d.largest / 32));
      const most = Math.max(...apart.map((d) => d.most));
      console.log(`${basename(model)}: ${most.toExponential(1)} apart, ` +
        `numbers up to ${largest.toPrecision(3)}` +
        `${well && over.length ? ` (${over.length} of ${apart.length} by a byte)` : ''}` +
        `${well ? '' : ' FAILED'}`);
      if (well) passed++;
      else failed++;
    } catch (error) {
      console.log(`${basename(model)}: FAILED: ${error.message}`);
      failed++;
    }
  }
} finally {
  rmSync(work, { recursive: true });
}
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed > 0 ? 1 : 0);
