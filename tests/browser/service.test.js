// The page against the real service: CONVOY_URL names it, CONVOY_IMAGE an
// image and CONVOY_LABEL what it must be called.
//
//     CONVOY_URL=http://127.0.0.1:8080 ./run service.test.js

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drop, image, imageFile, launch } from './lib/browser.js';

const { CONVOY_URL: url, CONVOY_IMAGE: path, CONVOY_LABEL: label } = process.env;
const skip = url ? false : 'CONVOY_URL is not set';

async function visit(run) {
  const browser = await launch();
  try {
    const page = await (await browser.newContext({ locale: 'en-US' })).newPage();
    const violations = [];
    page.on('console', (message) => {
      if (/Content.Security.Policy/i.test(message.text())) violations.push(message.text());
    });
    await page.goto(url);
    await run(page);
    assert.deepEqual(violations, []);
  } finally {
    await browser.close();
  }
}

const file = () => (path ? imageFile(path) : image(Date.now() % 1e9));
const card = (page) => page.locator('.card[data-state=succeeded]');
const read = (page, part) => card(page).first().locator(`[data-part=${part}]`).innerText();

test('an image dropped on the page is answered, and its repeat from the cache', { skip }, () => visit(async (page) => {
  const dropped = await file();
  await page.locator('#labels li').first().waitFor();
  const known = await page.locator('#labels li, #all-labels li').allTextContents();
  await drop(page, [dropped]);
  await card(page).waitFor();
  const first = await read(page, 'label');
  assert.ok(known.includes(first), `${first} is none of ${known}`);
  if (label) assert.equal(first, label);

  const posts = [];
  page.on('request', (request) => request.method() === 'POST' && posts.push(request.url()));
  await drop(page, [dropped]);
  await card(page).nth(1).waitFor();
  assert.equal(await read(page, 'label'), first);
  assert.equal(await read(page, 'badge'), 'From cache');
  assert.deepEqual(posts, []);
}));

test('a reload brings the answer back, with its map', { skip }, () => visit(async (page) => {
  await drop(page, [await file()]);
  await card(page).waitFor();
  const first = await read(page, 'label');
  await page.reload();
  await card(page).waitFor();
  assert.equal(await read(page, 'label'), first);
  await page.waitForFunction(() => document.querySelector('.map').naturalWidth > 0);
}));

test('the activation map lies over the photo', { skip }, () => visit(async (page) => {
  await drop(page, [await file()]);
  await card(page).waitFor();
  const map = card(page).locator('[data-part=map]');
  await map.waitFor();
  await page.waitForFunction(() => document.querySelector('.map').naturalWidth > 0);
}));

test('a person is told by a page what nginx refuses, a program by a problem', { skip }, async () => {
  for (const [path, options, status, words] of [
    ['/admin/', { headers: { 'X-Forwarded-For': '192.0.2.1' } }, 403, /for those who run the service[^]*для тех, кто/],
    ['/', { method: 'POST' }, 405, /not understood/],
  ]) {
    const ask = (accept) => fetch(url + path, { ...options, headers: { ...options.headers, Accept: accept } });
    const page = await ask('text/html,application/xhtml+xml,*/*;q=0.8');
    assert.equal(page.status, status);
    assert.match(page.headers.get('Content-Type'), /^text\/html/);
    const text = await page.text();
    assert.match(text, words);
    assert.equal(text.match(/<h1>/g).length, 1);
    assert.match(text, new RegExp(`HTTP ${status}`));
    const problem = await ask('*/*');
    assert.equal(problem.status, status);
    assert.match(problem.headers.get('Content-Type'), /^application\/problem\+json/);
    assert.equal((await problem.json()).status, status);
  }
});

test('what is no image is said in words', { skip }, () => visit(async (page) => {
  await drop(page, [{ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from(`no image ${Date.now()}`) }]);
  await page.locator('.card[data-state=failed]').waitFor();
  assert.match(await page.locator('.card [data-part=words]').innerText(), /not an image of a kind/);
}));
