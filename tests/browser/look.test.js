// How the page looks: it fits, it can be read, it is accessible (axe-core), in
// both widths and both colour schemes.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { drop, image, launch } from './lib/browser.js';
import { problem, startMock } from './lib/mock.js';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const WIDTHS = [320, 390, 768, 1280];

let browser, mock, axe;
before(async () => {
  browser = await launch();
  mock = await startMock();
  axe = await readFile(AXE, 'utf8');
});
after(async () => {
  await browser.close();
  await mock.close();
});

async function open(options, path = '/') {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  await page.goto(mock.url + path);
  return { page, close: () => context.close() };
}

// Evaluated from outside of the page, so that its policy does not matter.
async function violations(page) {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => window.axe.run(document));
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
}

async function fill(page) {
  await drop(page, [image(1, 'a-photo-with-a-rather-long-name-from-some-telephone-20261124.png')]);
  await page.locator('.card[data-state=succeeded]').waitFor();
  mock.next('POST /api/v1/predictions', (_, response) =>
    problem(response, 503, 'queue-full', '', { 'Retry-After': '600' }));
  await drop(page, [image(Math.floor(Math.random() * 1e9))]);
  await page.locator('.card[data-state=paused]').waitFor();
  mock.next('POST /api/v1/predictions', (_, response) =>
    problem(response, 415, 'unsupported-image-type', 'x'.repeat(300)));
  await drop(page, [image(Math.floor(Math.random() * 1e9))]);
  await page.locator('.card[data-state=failed]').waitFor();
}

const overflow = (page) => page.evaluate(() =>
  document.documentElement.scrollWidth - document.documentElement.clientWidth);

for (const width of WIDTHS) {
  for (const locale of ['en-US', 'ru-RU']) {
    test(`nothing sticks out at ${width} px, ${locale}`, async () => {
      const { page, close } = await open({ locale, viewport: { width, height: 844 } });
      await page.locator('#labels li').first().waitFor();
      assert.equal(await overflow(page), 0);
      await fill(page);
      assert.equal(await overflow(page), 0);
      await close();
    });
  }
}

test('without JavaScript nothing is there that needs it', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  for (const path of ['/', '/admin/']) {
    await page.goto(mock.url + path);
    await page.locator('.noscript p').first().waitFor(); // what is within is no text to Playwright
    assert.equal(await page.getByRole('button').count(), 0);
    assert.equal(await page.getByText('Asking the service').isVisible(), false);
  }
  await context.close();
});

for (const width of [390, 1280]) {
  test(`with text of twice the size all of it grows and nothing sticks out at ${width} px`, async () => {
    const large = await launch(['--blink-settings=defaultFontSize=32']);
    try {
      const page = await large.newPage({ viewport: { width, height: 844 }, locale: 'en-US' });
      await page.goto(mock.url);
      await page.locator('#labels li').first().waitFor();
      assert.equal(await page.locator('#choose').evaluate((button) => getComputedStyle(button).fontSize), '32px');
      assert.equal(await overflow(page), 0);
      await fill(page);
      assert.equal(await overflow(page), 0);
    } finally {
      await large.close();
    }
  });
}

test('with forced colours bars, slider and language are seen', async () => {
  const { page, close } = await open({ forcedColors: 'active', locale: 'en-US', viewport: { width: 390, height: 844 } });
  await page.locator('#labels li').first().waitFor();
  await fill(page);
  const colour = (selector, name) => page.locator(selector).first().evaluate((node, property) => getComputedStyle(node)[property], name);
  const ground = await colour('.card', 'backgroundColor');
  assert.notEqual(await colour('.bar-fill', 'backgroundColor'), ground);
  assert.notEqual(await colour('[data-language=en]', 'backgroundColor'), await colour('[data-language=ru]', 'backgroundColor'));
  const [clear, cards] = await Promise.all(['#clear', '#cards'].map((selector) => page.locator(selector).boundingBox()));
  assert.ok(clear.x + clear.width <= cards.x + cards.width);
  await close();
});

for (const colorScheme of ['light', 'dark']) {
  for (const width of [390, 1280]) {
    test(`axe-core finds nothing at ${width} px, ${colorScheme}`, async () => {
      const { page, close } = await open({ colorScheme, viewport: { width, height: 844 } });
      await page.locator('#labels li').first().waitFor();
      assert.deepEqual(await violations(page), []);
      await fill(page);
      assert.deepEqual(await violations(page), []);
      await close();
    });
  }

  for (const path of ['/problems/', '/problems/corrupt-image', '/no/such/page', '/error', '/openapi']) {
    test(`axe-core finds nothing on ${path}, ${colorScheme}`, async () => {
      const { page, close } = await open({ colorScheme, viewport: { width: 390, height: 844 } }, path);
      assert.deepEqual(await violations(page), []);
      assert.equal(await overflow(page), 0);
      await close();
    });
  }
}
