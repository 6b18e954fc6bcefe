// The admin page against a mock of the service, and the real one's data where
// CONVOY_URL names it.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { launch } from './lib/browser.js';
import { failed, makePrediction, makeState, problem, startMock } from './lib/mock.js';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const STATE = 'GET /api/v1/admin/state';

let browser, axe;
before(async () => {
  browser = await launch();
  axe = await readFile(AXE, 'utf8');
});
after(() => browser.close());

function fill(mock) {
  for (const digit of ['a', 'b', 'c']) {
    const prediction = makePrediction(digit.repeat(64));
    mock.known.set(prediction.id, prediction);
  }
  const broken = failed(makePrediction('d'.repeat(64)), 'corrupt-image', 'It ends too early.');
  mock.known.set(broken.id, { ...broken, timings: { total_ms: 3 } });
}

// Whatever breaks the policy or the scripts fails the test.
async function visit(run, { url, mock: prepare = fill, ...options } = {}) {
  const mock = url ? null : await startMock();
  const context = await browser.newContext({ locale: 'en-US', reducedMotion: 'reduce', ...options });
  const broken = [];
  try {
    if (mock) prepare(mock);
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('pageerror', (error) => broken.push(error.message));
    page.on('console', (message) => {
      if (/Content.Security.Policy/i.test(message.text())) broken.push(message.text());
    });
    await page.goto(`${url ?? mock.url}/admin/`);
    await run(page, mock);
    assert.deepEqual(broken, []);
  } finally {
    await context.close();
    await mock?.close();
  }
}

const rows = (page, list) => page.locator(`#${list} tbody tr`);
const tile = (page, title) => page.locator('.tile', { has: page.getByText(title, { exact: true }) }).locator('.figure');

test('queue, cache, workers, models and refusals are shown', () => visit(async (page) => {
  await rows(page, 'workers').first().waitFor();
  assert.equal(await tile(page, 'Waiting').innerText(), '3');
  assert.equal(await tile(page, 'Spared by the cache').innerText(), '40.0%');
  assert.equal(await tile(page, 'Owed, all fronts').innerText(), '12');
  assert.equal(await tile(page, 'Hands').innerText(), '6');
  assert.match(await rows(page, 'workers').nth(0).innerText(), /alpha\.1\s+ready[^]*1 \/ 2[^]*38/);
  assert.match(await rows(page, 'workers').nth(1).innerText(), /beta\.2\s+drains/);
  assert.match(await rows(page, 'models').first().innerText(), /cifar10-resnet9\s+default[^]*3f2a9c1b7d4e/);
  assert.match(await page.locator('#refusals').innerText(), /alpha\.1 refused resnet50: Einsum is not supported/);
  assert.equal(await page.title(), 'Operation · Convoy');
}));

test('rates come from totals', () => visit(async (page) => {
  await page.waitForFunction(() => /^10 /.test(document.querySelector('.tile .figure')?.textContent));
}, {
  mock: (mock) => {
    let asked = 0;
    mock.state = () => makeState({ now: 1795514400000 + 2000 * asked, succeeded: 20 * asked++ });
  },
}));

test('recent predictions are listed, the failed ones with their reason', () => visit(async (page) => {
  await rows(page, 'predictions').first().waitFor();
  assert.equal(await rows(page, 'predictions').count(), 4);
  assert.match(await rows(page, 'predictions').nth(0).innerText(), /damaged/);
  assert.match(await rows(page, 'predictions').nth(1).innerText(), /cat\s+97\.3%[^]*PNG, 64 × 48/);
  assert.equal(await page.locator('#predictions img').count(), 0);
}));

test('a prediction is forgotten by two presses, not by one', () => visit(async (page, mock) => {
  const button = rows(page, 'predictions').nth(1).getByRole('button');
  await button.focus();
  await page.keyboard.press('Enter');
  assert.equal(await button.innerText(), 'Really forget?');
  assert.equal(mock.count('DELETE', /./), 0);
  await page.keyboard.press('Enter'); // the focus has stayed
  await page.waitForFunction(() => document.querySelectorAll('#predictions tbody tr').length === 3);
  assert.equal(mock.count('DELETE', /\/c{64}-/), 1);
  assert.match(await page.locator('#announcer').innerText(), /forgotten/);
  const heir = rows(page, 'predictions').nth(1).getByRole('button', { name: /^Forget cat, .*2026/ });
  await page.waitForFunction((button) => document.activeElement === button, await heir.elementHandle());
}));

test('a second press that comes late forgets nothing', () => visit(async (page, mock) => {
  const button = rows(page, 'predictions').first().getByRole('button');
  await button.click();
  await page.locator('.sure').waitFor({ state: 'detached' });
  await button.click();
  assert.equal(mock.count('DELETE', /./), 0);
}));

test('a service that is away is said, and tried again', () => visit(async (page, mock) => {
  await rows(page, 'workers').first().waitFor();
  mock.next(STATE, (_, response) => problem(response, 503, 'front-unavailable'));
  await page.getByText('The service is starting or overloaded.').waitFor();
  await page.locator('#notice').waitFor({ state: 'hidden' });
}));

test('what is old is said to be so, in words', () => visit(async (page, mock) => {
  await rows(page, 'predictions').first().waitFor();
  mock.next('GET /api/v1/admin/predictions', (_, response) => problem(response, 503, 'store-unavailable'));
  await page.locator('#predictions-old', { hasText: /As of .*20\d\d/ }).waitFor();
  assert.equal(await page.locator('#state-old').isVisible(), false);
  await page.locator('#predictions-old').waitFor({ state: 'hidden' });
  mock.next(STATE, (_, response) => problem(response, 503, 'front-unavailable'));
  await page.locator('#state-old', { hasText: 'As of' }).waitFor();
}));

test('a model without workers is marked', () => visit(async (page) => {
  await page.locator('#models .mark.bad', { hasText: 'no worker' }).waitFor();
  assert.match(await page.locator('.tile').last().innerText(), /; 1 retry$/);
}, {
  mock: (mock) => {
    const { models: [model], totals } = makeState();
    mock.state = () => makeState({ models: [{ ...model, workers: 0 }], totals: { ...totals, retries: 1 } });
  },
}));

test('without Redis the state is shown all the same, and nothing called old that is not', () => visit(async (page) => {
  await page.getByText('the store (Redis) cannot be used').waitFor();
  assert.equal(await rows(page, 'workers').count(), 2);
  assert.equal(await page.getByText(/^As of/).count(), 0);
}, {
  mock: (mock) => {
    mock.state = () => makeState({ redis: false, queue: { queued: 0, in_flight: 0, pending: 0, oldest_ms: 0 } });
    mock.next('GET /api/v1/admin/predictions', (_, response) => problem(response, 503, 'store-unavailable'), 99);
  },
}));

test('what workers announce is text, whatever it holds', () => visit(async (page) => {
  await page.getByText('<img src=x onerror=alert(1)>').first().waitFor();
  assert.equal(await page.locator('main img').count(), 0);
}, {
  mock: (mock) => {
    const state = makeState();
    state.workers[0].report.refusals = [{ model: '<img src=x onerror=alert(1)>', reason: '<b>' }];
    mock.state = () => state;
  },
}));

for (const colorScheme of ['light', 'dark']) {
  for (const [width, locale] of [[320, 'ru-RU'], [390, 'en-US'], [1280, 'en-US']]) {
    test(`fits, reads and is accessible at ${width} px, ${colorScheme}, ${locale}`, () => visit(async (page) => {
      await rows(page, 'predictions').first().waitFor();
      assert.equal(await page.evaluate(() =>
        document.documentElement.scrollWidth - document.documentElement.clientWidth), 0);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document));
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`), []);
      if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/admin-${width}-${colorScheme}.png`, fullPage: true });
    }, { colorScheme, locale, viewport: { width, height: 844 } }));
  }
}

test('the real service shows its worker and its model', { skip: process.env.CONVOY_URL ? false : 'CONVOY_URL is not set' },
  () => visit(async (page) => {
    await rows(page, 'workers').first().waitFor();
    await rows(page, 'models').first().waitFor();
    assert.match(await tile(page, 'Hands').innerText(), /^[1-9]/);
  }, { url: process.env.CONVOY_URL }));
