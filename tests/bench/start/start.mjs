// How long a model takes to be ready to run, and how much memory it takes at
// most until it has run: Convoy's engine against ONNX Runtime, each in a
// process of its own every time, in turns; medians.
//
//   node start.mjs [--json] CONVOY-MODEL FILE.onnx...
//
// Loading is reading the file and making a session. Memory is, of Convoy, all
// that the process has had; of ONNX Runtime, what came on top of Node and the
// library, before either had a model.
//
// Environment: BENCH_BATCHES ("1,8"), BENCH_ROUNDS (5).
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

// The benchmark of speed has the packages.
const require = createRequire(new URL('../engine/package.json',
  import.meta.url));
const own = fileURLToPath(import.meta.url);

function kilobytes(name) {
  const status = readFileSync('/proc/self/status', 'latin1');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)[1]);
}

// In a process of its own: prints what it measured.
async function measurePeer(file, batch) {
  const ort = require('onnxruntime-node');
  const before = kilobytes('VmRSS');
  writeFileSync('/proc/self/clear_refs', '5'); // VmHWM starts anew
  const start = performance.now();
  const session = await ort.InferenceSession.create(file, {
    intraOpNumThreads: 1, interOpNumThreads: 1,
    executionMode: 'sequential', graphOptimizationLevel: 'all',
  });
  const load = performance.now() - start;
  const port = session.inputMetadata[0];
  const shape = port.shape.map((dim, i) =>
    typeof dim === 'number' && dim > 0 ? dim : [batch, 3, 224, 224][i]);
  const size = shape.reduce((a, b) => a * b, 1);
  await session.run({ [port.name]:
    new ort.Tensor('float32', new Float32Array(size), shape) });
  console.log(JSON.stringify({
    load, memory: (kilobytes('VmHWM') - before) / 1024,
  }));
}

const run = (command, words) =>
  JSON.parse(execFileSync(command, words, { encoding: 'utf8' }));

const peer = (file, batch) =>
  run(process.execPath, [own, '--peer', file, `${batch}`]);

function convoy(program, file, batch) {
  const figures = run(program, ['bench', file, '--batch', `${batch}`,
    '--seconds', '0.1', '--json']);
  return { load: figures.load_ms, memory: figures.peak_memory_bytes / 2 ** 20 };
}

const median = (values) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

function compare(program, file, batch, rounds) {
  const ours = [], theirs = [];
  for (let i = 0; i < rounds; i++) {
    theirs.push(peer(file, batch));
    ours.push(convoy(program, file, batch));
  }
  const of = (list, what) => median(list.map((figures) => figures[what]));
  const name = basename(file) === 'model.onnx' ? basename(dirname(file))
    : basename(file, '.onnx');
  return {
    model: name, batch,
    convoy_load_ms: of(ours, 'load'), onnxruntime_load_ms: of(theirs, 'load'),
    convoy_mib: of(ours, 'memory'), onnxruntime_mib: of(theirs, 'memory'),
  };
}

function main(words) {
  const json = words.includes('--json');
  const [program, ...files] = words.filter((word) => word !== '--json');
  const rounds = Number(process.env.BENCH_ROUNDS ?? 5);
  const results = [];
  if (!json)
    console.log(`${'start'.padEnd(34)}batch  load ms: Convoy ONNX Runtime` +
      '   peak MiB: Convoy ONNX Runtime');
  for (const file of files)
    for (const batch of (process.env.BENCH_BATCHES ?? '1,8').split(',')) {
      let r;
      try {
        r = compare(program, file, Number(batch), rounds);
      } catch {
        continue; // the file fixes another batch
      }
      results.push(r);
      if (!json)
        console.log(r.model.padEnd(34) + batch.padStart(5) +
          r.convoy_load_ms.toFixed(1).padStart(17) +
          r.onnxruntime_load_ms.toFixed(1).padStart(13) +
          r.convoy_mib.toFixed(1).padStart(19) +
          r.onnxruntime_mib.toFixed(1).padStart(13));
    }
  if (json) console.log(JSON.stringify({ start: results }));
}

const words = process.argv.slice(2);
if (words[0] === '--peer') await measurePeer(words[1], Number(words[2]));
else main(words);
