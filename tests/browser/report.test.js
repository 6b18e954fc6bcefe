// report.html of a training: while it runs, after it was killed, and finished.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { launch } from './lib/browser.js';
import { png } from './lib/png.js';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const TRAINER = fileURLToPath(new URL('../../build/bin/convoy-model', import.meta.url));
const HOUR = 3600e3;

let browser, folder, axe;
before(async () => {
  browser = await launch();
  axe = await readFile(AXE, 'utf8');
  folder = await mkdtemp(join(tmpdir(), 'convoy-report-'));
  for (const [number, label] of ['ash', 'birch'].entries()) {
    await mkdir(join(folder, 'photos', label), { recursive: true });
    for (let i = 0; i < 10; i++) {
      const stripes = png(32, 32, (x, y) => [((number ? x : y) >> 2) % 2 * 90 + 9 * i, 12 * i, 60, 255]);
      await writeFile(join(folder, 'photos', label, `${i}.png`), stripes);
    }
  }
});
after(async () => {
  await browser.close();
  await rm(folder, { recursive: true });
});

const options = (name, ...more) => ['train', '--folder', join(folder, 'photos'), '--out', join(folder, name),
  '--scratch', '--size', '32', '--width', '0.25', ...more];

async function open(name, { late = 0, ...look } = {}) {
  const context = await browser.newContext(look);
  const page = await context.newPage();
  await page.clock.setFixedTime(Date.now() + late);
  await page.goto(pathToFileURL(join(folder, name, 'report.html')).href);
  return { page, close: () => context.close() };
}

async function killed(name) {
  const training = spawn(TRAINER, options(name, '--epochs', '1000', '--patience', '0'), { stdio: 'ignore' });
  const ended = new Promise((resolve) => { training.on('exit', resolve); });
  const report = join(folder, name, 'report.html');
  while (!(await readFile(report, 'utf8').catch(() => '')).includes('epoch 1 of')) await pause(20);
  training.kill('SIGKILL');
  await ended;
  assert.ok((await stat(join(folder, name, 'checkpoint'))).size > 0);
}

test('a killed training is told from one that runs, once epochs fail to come', async () => {
  await killed('killed');
  const now = await open('killed');
  assert.equal(await now.page.locator('.state').textContent(), 'training');
  assert.equal(await now.page.locator('.news').isVisible(), false);
  await now.close();
  for (const [late, told] of [[HOUR, '60 minutes'], [3 * HOUR, '3 hours'], [72 * HOUR, '3 days']]) {
    const then = await open('killed', { late });
    assert.equal(await then.page.locator('.state').textContent(), 'no news');
    assert.match(await then.page.locator('.news').textContent(), new RegExp(`for ${told}\\..*--resume`));
    await then.close();
  }
});

test('the report of a finished training has no script, fits, and is accessible', async () => {
  await promisify(execFile)(TRAINER, options('finished', '--epochs', '2'));
  for (const width of [320, 390, 1280]) {
    for (const colorScheme of ['light', 'dark']) {
      const { page, close } = await open('finished', { colorScheme, viewport: { width, height: 844 } });
      assert.equal(await page.locator('.state').textContent(), 'finished');
      assert.equal(await page.locator('script').count(), 0);
      assert.equal(await page.evaluate(() =>
        document.documentElement.scrollWidth - document.documentElement.clientWidth), 0);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document));
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), []);
      await close();
    }
  }
});
