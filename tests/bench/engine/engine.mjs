// Images a second of each model, Convoy's engine against ONNX Runtime: rounds
// of the two take turns, so that a busy machine is busy for both, and the
// figure is the median of the rounds' ratios.
//
//   node engine.mjs [--json] CONVOY-MODEL MODEL-FOLDER...
//
// Environment: BENCH_BATCHES ("1,8"), BENCH_THREADS ("1"), BENCH_SECONDS (2, a
// round), BENCH_ROUNDS (5).
import { execFileSync } from 'node:child_process';
import { basename, join } from 'node:path';
import ort from 'onnxruntime-node';

const numbers = (name, otherwise) =>
  (process.env[name] ?? otherwise).split(',').map(Number);
const seconds = numbers('BENCH_SECONDS', '2')[0];
const rounds = numbers('BENCH_ROUNDS', '5')[0];

const json = process.argv.includes('--json');
const [program, ...folders] =
  process.argv.slice(2).filter((word) => word !== '--json');
if (!program || folders.length === 0) {
  console.error('usage: node engine.mjs [--json] CONVOY-MODEL MODEL-FOLDER...');
  process.exit(2);
}

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
};

function noise(count) {
  const x = new Float32Array(count);
  let state = 1;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    x[i] = state / 2 ** 31 - 1;
  }
  return x;
}

function inspect(folder) {
  const text = execFileSync(program, ['inspect', folder, '--json'],
    { encoding: 'utf8' });
  return JSON.parse(text);
}

// The batch that the file fixes, or any.
const fixedBatch = (model) => model.inputs[0].shape[0];

async function openPeer(folder, model, batch, threads) {
  const session = await ort.InferenceSession.create(
    join(folder, 'model.onnx'), {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
    });
  const shape = model.inputs[0].shape.map((dim, i) =>
    dim ?? [batch, 3, 224, 224][i]);
  const size = shape.reduce((a, b) => a * b, 1);
  const tensor = new ort.Tensor('float32', noise(size), shape);
  return { session, feeds: { [model.inputs[0].name]: tensor } };
}

async function runPeer({ session, feeds }, batch, duration) {
  let batches = 0;
  const start = performance.now();
  let now;
  do {
    await session.run(feeds);
    batches++;
    now = performance.now();
  } while (now - start < duration * 1000);
  return (batches * batch) / ((now - start) / 1000);
}

function runConvoy(folder, batch, threads) {
  const text = execFileSync(program, ['bench', folder, '--batch', `${batch}`,
    '--threads', `${threads}`, '--seconds', `${seconds}`, '--json'],
  { encoding: 'utf8' });
  return JSON.parse(text).images_per_second;
}

// Convoy's threads take a batch each; ONNX Runtime's share one. Each is how
// that program is meant to use several cores.
async function compare(folder, model, batch, threads) {
  const peer = await openPeer(folder, model, batch, threads);
  await runPeer(peer, batch, 0.5);
  const ours = [], theirs = [];
  for (let i = 0; i < rounds; i++) {
    theirs.push(await runPeer(peer, batch, seconds));
    ours.push(runConvoy(folder, batch, threads));
  }
  await peer.session.release();
  return {
    model: basename(folder), batch, threads,
    convoy: median(ours), onnxruntime: median(theirs),
    ratio: median(ours.map((rate, i) => rate / theirs[i])),
  };
}

const results = [];
if (!json)
  console.log('images a second'.padEnd(40) + 'batch threads   Convoy' +
    ' ONNX Runtime  ratio');
for (const folder of folders) {
  const model = inspect(folder);
  for (const threads of numbers('BENCH_THREADS', '1'))
    for (const batch of numbers('BENCH_BATCHES', '1,8')) {
      if (fixedBatch(model) && fixedBatch(model) !== batch)
        continue;
      const r = await compare(folder, model, batch, threads);
      results.push(r);
      if (!json)
        console.log(r.model.padEnd(40) + `${batch}`.padStart(5) +
          `${threads}`.padStart(8) + r.convoy.toFixed(1).padStart(9) +
          r.onnxruntime.toFixed(1).padStart(13) +
          r.ratio.toFixed(2).padStart(7));
    }
}
if (json)
  console.log(JSON.stringify({ engine: results }));
