// The page against a mock of the service: what a visitor sees and does.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { drop, image, launch, paste } from './lib/browser.js';
import { failed, makePrediction, MODEL, problem, SCORES, send, startMock } from './lib/mock.js';

const POST = 'POST /api/v1/predictions';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

// A fresh page and service for one test. Whatever breaks the policy or the
// scripts fails it.
async function visit(run, { mock: prepare = () => {}, ...options } = {}) {
  const mock = await startMock();
  const context = await browser.newContext({ locale: 'en-US', ...options });
  const broken = [];
  try {
    prepare(mock);
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('pageerror', (error) => broken.push(error.message));
    page.on('console', (message) => {
      if (/Content.Security.Policy/i.test(message.text())) broken.push(message.text());
    });
    await page.goto(mock.url);
    await page.locator('#labels li').first().waitFor({ state: 'attached' });
    await run(page, mock);
    assert.deepEqual(broken, []);
  } finally {
    await context.close();
    await mock.close();
  }
}

const card = (page, state) => page.locator(state ? `.card[data-state=${state}]` : '.card');
const part = (page, name) => page.locator(`.card [data-part=${name}]`);
const sha256 = (file) => createHash('sha256').update(file.buffer).digest('hex');
const idOf = (file) => `${sha256(file)}-${MODEL.version}`;
const listen = (page) => page.locator('#announcer').innerText();

describe('an image', () => {
  test('that is dropped gets its labels as bars', () => visit(async (page, mock) => {
    await drop(page, [image(1, 'tom.png')]);
    await card(page, 'succeeded').waitFor();
    assert.equal(await part(page, 'label').innerText(), 'cat');
    assert.equal(await part(page, 'percent').innerText(), '97.3%');
    assert.equal(await page.locator('.bar').count(), SCORES.length);
    assert.match(await page.locator('.bar').nth(1).innerText(), /dog\s+1\.8%/);
    assert.equal(await part(page, 'name').innerText(), 'tom.png');
    assert.match(await part(page, 'took').innerText(), /16\s*ms/);
    assert.equal(await part(page, 'badge').innerText(), 'Just computed');
    assert.match(await listen(page), /tom\.png: cat, 97\.3%/);
    const { headers } = mock.requests.find(({ method }) => method === 'POST');
    assert.equal(headers['content-type'], 'image/png');
    assert.match(headers.prefer, /^wait=\d+$/);
  }));

  test('that is pasted is classified', () => visit(async (page) => {
    await paste(page, image(2));
    await card(page, 'succeeded').waitFor();
  }));

  test('that is chosen is classified, and can be chosen again', () => visit(async (page) => {
    for (let round = 1; round <= 2; round++) {
      await page.setInputFiles('#picker', [image(3)]);
      await card(page, 'succeeded').nth(round - 1).waitFor();
    }
  }));

  test('from the camera is classified', () => visit(async (page) => {
    assert.equal(await page.locator('#photograph').isVisible(), true);
    assert.equal(await page.locator('#camera').getAttribute('capture'), 'environment');
    await page.setInputFiles('#camera', [image(4)]);
    await card(page, 'succeeded').waitFor();
  }, { hasTouch: true, isMobile: true, viewport: { width: 390, height: 844 } }));

  test('is shown at once, before the service has said anything', () => visit(async (page, mock) => {
    mock.next(POST, () => {});
    await drop(page, [image(5)]);
    await card(page, 'running').waitFor();
    await page.waitForFunction(() => document.querySelector('.photo img').naturalWidth === 64);
    await page.getByText('The network is looking').waitFor();
  }));

  test('among many is answered in its turn', () => visit(async (page, mock) => {
    const files = Array.from({ length: 12 }, (_, i) => image(100 + i));
    await drop(page, files);
    await page.waitForFunction(() => document.querySelectorAll('.card[data-state=succeeded]').length === 12);
    assert.equal(mock.count('POST', /predictions$/), 12);
    const names = await part(page, 'name').allInnerTexts();
    assert.deepEqual(names, files.map(({ name }) => name));
    await page.getByRole('button', { name: 'Remove all' }).click();
    assert.equal(await card(page).count(), 0);
  }));

  test('shows how far its upload is', () => visit(async (page, mock) => {
    mock.next(POST, () => {});
    const seen = await page.evaluate(() => {
      const states = [];
      new MutationObserver(() => states.push(document.querySelector('.card [data-part=state]')?.textContent))
        .observe(document.getElementById('cards'), { subtree: true, childList: true, characterData: true });
      window.seen = states;
      return states;
    });
    assert.deepEqual(seen, []);
    await drop(page, [image(6)]);
    await page.waitForFunction(() => document.querySelector('.card [data-part=state]').textContent === 'The network is looking');
    const states = await page.evaluate(() => window.seen);
    assert.ok(states.some((state) => /^Uploading, \d/.test(state)), states.join('; '));
  }));
});

describe('a known image', () => {
  test('is uploaded at once where ids are secret', () => visit(async (page, mock) => {
    const file = image(7);
    for (let round = 1; round <= 2; round++) {
      await drop(page, [file]);
      await card(page, 'succeeded').nth(round - 1).waitFor();
    }
    assert.equal(mock.count('GET', /predictions\/[0-9a-f]{64}-[0-9a-f]{12}$/), 0);
    assert.equal(mock.count('POST', /./), 2);
  }, { mock: (mock) => { mock.ids = 'secret'; } }));

  test('is recognised by its hash and not uploaded', () => visit(async (page, mock) => {
    const file = image(10);
    mock.known.set(idOf(file), makePrediction(sha256(file)));
    await drop(page, [file]);
    await card(page, 'succeeded').waitFor();
    assert.equal(mock.count('POST', /./), 0);
    assert.equal(await part(page, 'badge').innerText(), 'From cache');
    assert.match(await part(page, 'parts').innerText(), /not uploaded/);
  }));

  test('is uploaded where the browser cannot hash, and said to be cached', () => visit(async (page, mock) => {
    const file = image(11);
    mock.known.set(idOf(file), makePrediction(sha256(file)));
    await page.evaluate(() => Object.defineProperty(crypto, 'subtle', { value: undefined }));
    await drop(page, [file]);
    await card(page, 'succeeded').waitFor();
    assert.equal(mock.count('GET', /predictions\/[^/]+$/), 0);
    assert.equal(mock.count('POST', /./), 1);
    assert.equal(await part(page, 'badge').innerText(), 'From cache');
  }));
});

describe('a slow answer', () => {
  test('is asked for until it is there', () => visit(async (page, mock) => {
    const file = image(20);
    const done = makePrediction(sha256(file));
    const queued = { id: done.id, status: 'queued', model: done.model, poll_after_ms: 30 };
    const unknown = (_, response) => problem(response, 404, 'unknown-prediction');
    mock.next(`GET /api/v1/predictions/${done.id}`, unknown);
    mock.next(POST, (_, response) => send(response, 202, queued, { 'Retry-After': '1', Location: done.links.self }));
    for (const status of ['queued', 'processing']) {
      mock.next(`GET /api/v1/predictions/${done.id}`, (_, response) => send(response, 200, { ...queued, status }));
    }
    mock.known.set(done.id, done);
    await drop(page, [file]);
    await card(page, 'succeeded').waitFor();
    assert.equal(mock.count('GET', /predictions\/[^/]+$/), 4);
    assert.equal(mock.count('POST', /./), 1);
    assert.match(mock.requests.findLast(({ path }) => /predictions\/[^/]+$/.test(path)).headers.prefer, /wait=/);
    assert.equal(await part(page, 'badge').innerText(), 'Just computed');
  }));

  test('of an image that others sent is joined', () => visit(async (page, mock) => {
    const file = image(21);
    const done = makePrediction(sha256(file));
    mock.next(`GET /api/v1/predictions/${done.id}`, (_, response) =>
      send(response, 200, { id: done.id, status: 'processing', poll_after_ms: 20 }));
    mock.known.set(done.id, done);
    await drop(page, [file]);
    await card(page, 'succeeded').waitFor();
    assert.equal(mock.count('POST', /./), 0);
    assert.equal(await part(page, 'badge').innerText(), 'Joined');
  }));

  test('is told how long it has been waited for, and where', () => visit(async (page, mock) => {
    const file = image(22);
    const done = makePrediction(sha256(file));
    let held;
    mock.next(POST, (_, response) => send(response, 202, { id: done.id, status: 'queued', poll_after_ms: 10 }));
    mock.next(`GET /api/v1/predictions/${done.id}`, (_, response) => problem(response, 404, 'unknown-prediction'));
    mock.next(`GET /api/v1/predictions/${done.id}`, (_, response) => { held = response; });
    mock.next(`GET /api/v1/predictions/${done.id}`, () => {});
    await drop(page, [file]);
    await page.getByText(/^In the queue of the service, [3-9] sec$/).waitFor();
    assert.equal(await page.locator('.scan').isVisible(), false);
    send(held, 200, { id: done.id, status: 'processing', poll_after_ms: 10 });
    await page.getByText(/^The network is looking, \d+ sec$/).waitFor();
  }, { reducedMotion: 'reduce' }));
});

describe('trouble', () => {
  for (const [status, slug, words] of [
    [429, 'rate-limited', 'Too many requests at once.'],
    [503, 'queue-full', 'The service is busy.'],
    [503, 'no-worker', 'No network is ready to answer yet.'],
    [503, 'store-unavailable', 'The service cannot reach its store right now.'],
  ]) {
    test(`${slug} is waited out, as Retry-After says`, () => visit(async (page, mock) => {
      mock.next(POST, (_, response) => problem(response, status, slug, '', { 'Retry-After': '2' }));
      await drop(page, [image(30)]);
      await card(page, 'paused').waitFor();
      assert.equal(await part(page, 'words').innerText(), words);
      assert.match(await part(page, 'countdown').innerText(), /Trying again in [12] second/);
      await card(page, 'succeeded').waitFor();
      assert.equal(mock.count('POST', /./), 2);
    }));
  }

  test('that is waited out can be retried before its time', () => visit(async (page, mock) => {
    mock.next(POST, (_, response) => problem(response, 503, 'queue-full', '', { 'Retry-After': '600' }));
    await drop(page, [image(31)]);
    await page.getByRole('button', { name: 'Try now' }).click();
    await card(page, 'succeeded').waitFor();
  }));

  test('of the network is retried by itself', () => visit(async (page) => {
    await page.route('**/predictions', (route) => route.abort('connectionreset'), { times: 1 });
    await drop(page, [image(32)]);
    await card(page, 'paused').waitFor();
    assert.equal(await part(page, 'words').innerText(), 'The connection was lost.');
    await card(page, 'succeeded').waitFor();
  }));

  test('offline is said, and over as soon as the network is back', () => visit(async (page, mock) => {
    await page.context().setOffline(true);
    await drop(page, [image(33)]);
    await card(page, 'failed').waitFor();
    assert.match(await part(page, 'words').innerText(), /You are offline/);
    await page.context().setOffline(false);
    await card(page, 'succeeded').waitFor();
    assert.equal(mock.count('POST', /./), 1);
  }));

  for (const [status, slug, words] of [
    [404, 'unknown-model', 'The service no longer has this model.'],
    [500, 'a-new-one', 'What the service said.'],
  ]) {
    test(`${status} ${slug} is said in words and can be retried`, () => visit(async (page, mock) => {
      mock.next(POST, (_, response) => problem(response, status, slug, 'What the service said.'));
      await drop(page, [image(34, 'photo.png')]);
      await card(page, 'failed').waitFor();
      const said = await part(page, 'words').innerText();
      assert.ok(words instanceof RegExp ? words.test(said) : said === words, said);
      assert.match(await listen(page), /photo\.png: \w/);
      await page.getByRole('button', { name: 'Try again' }).click();
      await card(page, 'succeeded').waitFor();
    }));
  }

  for (const [status, slug, words] of [
    [413, 'image-too-large', /too large: more than 20 MiB/],
    [415, 'unsupported-image-type', /not an image of a kind/],
    [422, 'corrupt-image', /damaged/],
  ]) {
    test(`${status} ${slug} is said in words, and no retry offered that must fail`, () => visit(async (page, mock) => {
      mock.next(POST, (_, response) => problem(response, status, slug, 'What the service said.'));
      await drop(page, [image(34, 'photo.png')]);
      await card(page, 'failed').waitFor();
      assert.match(await part(page, 'words').innerText(), words);
      assert.equal(await part(page, 'retry').isVisible(), false);
      assert.equal(await part(page, 'detail').isVisible(), slug === 'corrupt-image');
    }));
  }

  test('with an empty file is said, and nothing offered', () => visit(async (page, mock) => {
    await drop(page, [{ name: 'empty.png', mimeType: 'image/png', buffer: Buffer.alloc(0) }]);
    await card(page, 'failed').waitFor();
    assert.equal(await part(page, 'words').innerText(), 'The file is empty.');
    assert.equal(await page.locator('.trouble-actions').isVisible(), false);
    assert.equal(mock.count('POST', /./), 0);
  }));

  test('with a file over the limit is said before it is sent, and it is sent all the same on demand', () => visit(async (page, mock) => {
    assert.match(await page.locator('#formats').innerText(), /up to 20 MiB each/);
    await paste(page, image(38, 'large.png'), 21 * 2 ** 20);
    await card(page, 'failed').waitFor();
    assert.match(await part(page, 'words').innerText(), /takes up to 20 MiB an image/);
    assert.equal(mock.count('POST', /./), 0);
    await page.getByRole('button', { name: 'Send it all the same' }).click();
    await card(page, 'succeeded').waitFor();
    assert.match(await page.locator('#formats').textContent(), /up to 21 MiB each/);
  }));

  test('413 that names the limit corrects what the page believes', () => visit(async (page, mock) => {
    mock.next(POST, (_, response) =>
      problem(response, 413, 'image-too-large', 'The image has 9.0 MiB; up to 8.0 MiB are accepted.'));
    await drop(page, [image(39)]);
    await card(page, 'failed').waitFor();
    assert.match(await part(page, 'words').innerText(), /more than 8 MiB/);
  }));

  test('without a problem body is said as its status means', () => visit(async (page, mock) => {
    mock.next(POST, (_, response) => response.writeHead(413).end('<html>'));
    await drop(page, [image(35)]);
    await card(page, 'failed').waitFor();
    assert.equal(await part(page, 'words').innerText(), 'The file is too large: the service takes up to 20 MiB an image.');
  }));

  test('of a failed prediction is said with the words of the service', () => visit(async (page, mock) => {
    const file = image(36);
    const prediction = failed(makePrediction(sha256(file)), 'corrupt-image', 'The file ends in row 7.');
    mock.next(POST, (_, response) => send(response, 200, prediction));
    await drop(page, [file]);
    await card(page, 'failed').waitFor();
    assert.equal(await part(page, 'words').innerText(), 'The image is damaged or cut short.');
    assert.equal(await part(page, 'detail').innerText(), 'The file ends in row 7.');
  }));

  test('of the service with one image is asked again on demand', () => visit(async (page, mock) => {
    const file = image(36);
    const prediction = failed(makePrediction(sha256(file)), 'worker-failed', '');
    mock.next(POST, (_, response) => send(response, 200, prediction));
    await drop(page, [file]);
    await page.getByRole('button', { name: 'Try again' }).click();
    await card(page, 'succeeded').waitFor();
    assert.equal(mock.count('POST', /./), 2);
  }));

  test('of the service some time ago is no answer', () => visit(async (page, mock) => {
    const file = image(38);
    mock.next('GET /api/v1/predictions/*', (_, response) =>
      send(response, 200, failed(makePrediction(sha256(file)), 'worker-failed', '')));
    await drop(page, [file]);
    await card(page, 'succeeded').waitFor();
    assert.equal(mock.count('POST', /./), 1);
  }));

  test('413 can be answered with a smaller JPEG', () => visit(async (page, mock) => {
    mock.next(POST, (_, response) => problem(response, 413, 'image-too-large'));
    await drop(page, [image(37, 'large.png')]);
    await page.getByRole('button', { name: 'Send a smaller JPEG instead' }).click();
    await card(page, 'succeeded').waitFor();
    const sent = mock.requests.findLast(({ method }) => method === 'POST');
    assert.equal(sent.headers['content-type'], 'image/jpeg');
    assert.equal(sent.bytes.readUInt16BE(0), 0xffd8);
    assert.equal(await part(page, 'name').innerText(), 'large.jpg');
  }));

  test('with HEIC is said before it is uploaded', () => visit(async (page, mock) => {
    const buffer = Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1');
    await drop(page, [{ name: 'IMG_1.HEIC', mimeType: '', buffer }]);
    await card(page, 'failed').waitFor();
    assert.match(await part(page, 'words').innerText(), /HEIC/);
    assert.equal(await part(page, 'nopreview').isVisible(), true);
    assert.equal(mock.count('POST', /./), 0);
  }));

  test('with what is no file at all is said', () => visit(async (page) => {
    await drop(page, []);
    assert.match(await page.locator('#notice').innerText(), /no image file/);
  }));

  test('with something that is no image is left to the service to name', () => visit(async (page, mock) => {
    mock.next(POST, (_, response) => problem(response, 415, 'unsupported-image-type'));
    await drop(page, [{ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') }]);
    await card(page, 'failed').waitFor();
    assert.match(mock.requests.find(({ method }) => method === 'POST').headers['content-type'], /^image\//);
  }));

  test('with a service that is not there yet passes', () => visit(async (page, mock) => {
    mock.next('GET /api/v1/models', (_, response) => problem(response, 503, 'front-unavailable', '', { 'Retry-After': '1' }));
    await page.reload();
    await page.getByText('does not answer right now').waitFor();
    await page.getByText('It knows 10 things').waitFor();
  }));
});

describe('the activation map', () => {
  test('lies over the photo and fades', () => visit(async (page) => {
    await drop(page, [image(40)]);
    const map = part(page, 'map');
    await map.waitFor();
    const [over, under] = await page.evaluate(() => ['.map', '.photo img']
      .map((image) => JSON.stringify(document.querySelector(image).getBoundingClientRect())));
    assert.equal(over, under);
    const slider = page.getByRole('slider', { name: 'Activation map' });
    await slider.fill('0');
    assert.equal(await map.evaluate((img) => img.style.opacity), '0');
    await slider.press('End');
    assert.equal(await map.evaluate((img) => img.style.opacity), '1');
    assert.equal(await map.getAttribute('alt'), 'Activation map for cat');
  }));

  test('follows the bar that is chosen, by mouse and by arrow key', () => visit(async (page, mock) => {
    await drop(page, [image(41)]);
    const map = part(page, 'map');
    await map.waitFor();
    const first = await map.getAttribute('src');
    await page.getByRole('radio', { name: /dog/ }).click();
    await page.waitForFunction((src) => document.querySelector('.map').src !== src, first);
    assert.equal(await map.getAttribute('alt'), 'Activation map for dog');
    await page.keyboard.press('ArrowDown');
    await page.waitForFunction(() => document.querySelector('.map').alt === 'Activation map for deer');
    assert.equal(mock.count('GET', /heatmap\.png\?label=4$/), 1);
    await page.getByRole('radio', { name: /cat/ }).click();
    await page.waitForFunction((src) => document.querySelector('.map').src === src, first);
    assert.equal(mock.count('GET', /heatmap\.png\?label=3$/), 1);
  }));

  test('that does not exist for a label is said', () => visit(async (page, mock) => {
    await drop(page, [image(42)]);
    await part(page, 'map').waitFor();
    mock.next('GET /api/v1/predictions/*', (_, response) => problem(response, 404, 'no-heatmap'));
    await page.getByRole('radio', { name: /frog/ }).click();
    await page.getByText('There is no map for this label.').waitFor();
    assert.equal(await part(page, 'map').isVisible(), false);
  }));

  test('is not offered by a model without maps', () => visit(async (page) => {
    await drop(page, [image(43)]);
    await card(page, 'succeeded').waitFor();
    assert.equal(await page.getByRole('slider').count(), 0);
    assert.equal(await page.getByRole('radio').count(), 0);
    assert.equal(await page.locator('.bar').count(), SCORES.length);
    assert.match(await part(page, 'mapnote').innerText(), /no activation maps/);
    assert.equal(await part(page, 'explain').isVisible(), false);
  }, { mock: (mock) => { mock.models = [{ ...MODEL, explainable: false }]; } }));

  test('is found out on demand by a model without maps that has a variant which can', () => visit(async (page) => {
    await drop(page, [image(44)]);
    await card(page, 'succeeded').waitFor();
    assert.equal(await page.getByLabel('Model', { exact: true }).isVisible(), false);
    await page.getByRole('button', { name: 'Find out where it looks' }).click();
    await part(page, 'map').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.className), 'card');
    assert.equal(await part(page, 'explain').isVisible(), false);
    assert.equal(await part(page, 'model').innerText(), `${MODEL.name}-explained`);
  }, {
    mock: (mock) => {
      const { name } = MODEL;
      const variant = { ...MODEL, name: `${name}-explained`, version: 'fedcba987654', default: false, explains: name };
      mock.models = [{ ...MODEL, explainable: false }, variant];
    },
  }));
});

describe('models', () => {
  const LARGE = {
    ...MODEL, name: 'mobilenet', version: 'aaaaaaaaaaaa', default: false,
    labels: Array.from({ length: 1000 }, (_, i) => `thing ${i}, other name`),
  };

  test('are told by their labels', () => visit(async (page) => {
    assert.match(await page.locator('#knows').innerText(), /It knows 10 things/);
    assert.deepEqual(await page.locator('#labels li').allInnerTexts(), MODEL.labels);
    assert.equal(await page.locator('#chooser').isVisible(), false);
  }));

  test('can be chosen where there are several', () => visit(async (page, mock) => {
    await page.getByLabel('Model').selectOption('mobilenet');
    assert.match(await page.locator('#knows').innerText(), /1,000/);
    await page.getByText('Show all 1,000').click();
    assert.equal(await page.locator('#all-labels li').count(), 1000);
    const file = image(50);
    await drop(page, [file]);
    await card(page, 'succeeded').waitFor();
    assert.equal(mock.count('GET', new RegExp(`${sha256(file)}-aaaaaaaaaaaa$`)), 1);
    assert.equal(mock.count('POST', /\?model=mobilenet$/), 1);
    assert.equal(await part(page, 'model').innerText(), 'mobilenet');
  }, { mock: (mock) => { mock.models = [MODEL, LARGE]; } }));

  test('that no worker serves are waited for', () => visit(async (page, mock) => {
    mock.models = [{ ...MODEL, workers: 0 }];
    await page.reload();
    await page.getByText('No network is ready yet').waitFor();
    assert.equal(await page.locator('#labels li').count(), 0);
    mock.models = [MODEL];
    await page.getByText('It knows 10 things').waitFor();
  }));

  test('that no worker serves are not offered beside others, nor asked', () => visit(async (page, mock) => {
    assert.equal(await page.locator('#chooser').isVisible(), false);
    assert.match(await page.locator('#knows').innerText(), /1,000/);
    await drop(page, [image(51)]);
    await card(page, 'succeeded').waitFor();
    assert.equal(mock.count('POST', /\?model=mobilenet$/), 1);
  }, { mock: (mock) => { mock.models = [{ ...MODEL, workers: 0 }, LARGE]; } }));
});

describe('languages', () => {
  test('Russian visitors read Russian', () => visit(async (page) => {
    assert.equal(await page.locator('html').getAttribute('lang'), 'ru');
    await drop(page, [image(60)]);
    await card(page, 'succeeded').waitFor();
    assert.equal(await part(page, 'label').innerText(), 'кошка');
    assert.match(await part(page, 'percent').innerText(), /97,3\s*%/);
    assert.match(await page.locator('#knows').innerText(), /10 классов/);
  }, { locale: 'ru-RU' }));

  test('others read English', () => visit(async (page) => {
    assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  }, { locale: 'de-DE' }));

  test('are switched at once, cards too, and remembered', () => visit(async (page) => {
    await drop(page, [image(61)]);
    await part(page, 'map').waitFor();
    await page.getByRole('button', { name: 'RU' }).click();
    assert.equal(await part(page, 'label').innerText(), 'кошка');
    assert.equal(await part(page, 'confidence').innerText(), 'Почти наверняка');
    assert.equal(await part(page, 'map').getAttribute('alt'), 'Карта активации: кошка');
    await page.reload();
    await page.getByRole('heading', { name: 'Увидите, что видит сеть' }).waitFor();
  }));

  test('have the same words', async () => {
    const [en, ru] = await Promise.all(['en', 'ru'].map(async (name) => {
      const source = await readFile(new URL(`../../static/js/locales/${name}.js`, import.meta.url), 'utf8');
      return (await import(`data:text/javascript,${encodeURIComponent(source)}`)).default;
    }));
    const words = (locale) => Object.keys(locale).filter((key) => key !== 'labels').sort();
    assert.deepEqual(words(ru), words(en));
    const gaps = (value) => [...new Set(JSON.stringify(value).match(/\{\w+\}/g))].sort();
    for (const key of words(en)) assert.deepEqual(gaps(ru[key]), gaps(en[key]), key);
  });
});

describe('without a mouse', () => {
  test('everything is reached and used', () => visit(async (page) => {
    const dialog = page.waitForEvent('filechooser');
    for (let i = 0; i < 10; i++) {
      await page.keyboard.press('Tab');
      if (await page.evaluate(() => document.activeElement.id === 'choose')) break;
    }
    await page.keyboard.press('Enter');
    await (await dialog).setFiles([image(70), image(71)]);
    await card(page, 'succeeded').nth(1).waitFor();
    const reached = new Set();
    for (let i = 0; i < 14; i++) {
      await page.keyboard.press('Tab');
      reached.add(await page.evaluate(() => document.activeElement.dataset.part ?? document.activeElement.type));
    }
    for (const control of ['fade', 'remove', 'radio', 'json']) assert.ok(reached.has(control), control);
    await page.locator('.card [data-part=remove]').first().focus();
    await page.keyboard.press('Enter');
    assert.equal(await card(page).count(), 1);
    assert.equal(await page.evaluate(() => document.activeElement.dataset.part), 'remove');
  }));

  const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.className);

  test('the focus stays on a card whose button has gone', () => visit(async (page, mock) => {
    mock.next(POST, (_, response) => problem(response, 500, 'internal-error'));
    await drop(page, [image(73)]);
    await page.getByRole('button', { name: 'Try again' }).press('Enter');
    await card(page, 'succeeded').waitFor();
    assert.equal(await focused(page), 'card');
    mock.next(POST, (_, response) => problem(response, 413, 'image-too-large'));
    await drop(page, [image(74, 'second.png')]);
    await page.getByRole('button', { name: 'Send a smaller JPEG instead' }).press('Enter');
    await card(page, 'succeeded').nth(1).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement === document.querySelector('.card')), true);
    await page.getByRole('article', { name: 'second.jpg' }).waitFor();
    await page.getByRole('button', { name: 'Remove all' }).press('Enter');
    assert.equal(await focused(page), 'choose');
  }));

  test('the skip link leads where there is something', () => visit(async (page) => {
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    assert.equal(await focused(page), 'choose');
    await drop(page, [image(75)]);
    await card(page, 'succeeded').waitFor();
    await page.getByRole('link', { name: 'Skip to the results' }).press('Enter');
    assert.equal(await focused(page), 'results');
  }));

  test('focus can be seen', () => visit(async (page) => {
    await drop(page, [image(72)]);
    await card(page, 'succeeded').waitFor();
    await page.locator('.bar-radio').first().focus();
    await page.keyboard.press('ArrowDown');
    const outline = await page.locator('.bar').nth(1).evaluate((bar) => getComputedStyle(bar).outlineStyle);
    assert.equal(outline, 'solid');
  }));
});

describe('dragging', () => {
  const dragging = (page) => page.evaluate(() => document.body.classList.contains('dragging'));

  test('what is of the page itself asks for nothing', () => visit(async (page) => {
    await drop(page, [image(90)]);
    await card(page, 'succeeded').waitFor();
    await page.evaluate(() => {
      window.raised = 0;
      new MutationObserver(() => { window.raised += document.body.classList.contains('dragging'); })
        .observe(document.body, { attributeFilter: ['class'] });
      getSelection().selectAllChildren(document.querySelector('.developers p'));
    });
    for (const dragged of ['.developers p', '.photo img', '.brand']) {
      const { x, y, height } = await page.locator(dragged).first().boundingBox();
      await page.mouse.move(x + 10, y + height / 2);
      await page.mouse.down();
      await page.mouse.move(x + 40, y + height / 2 + 10, { steps: 4 });
      await page.mouse.move(x + 60, y + height / 2 + 40, { steps: 4 });
      await page.mouse.up();
    }
    assert.equal(await page.evaluate(() => window.raised), 0);
    assert.equal(await page.locator('#notice').isVisible(), false);
    assert.equal(await card(page).count(), 1);
  }));

  test('a file raises the curtain, words from elsewhere do not', () => visit(async (page) => {
    for (const kind of ['text', 'file']) {
      await page.evaluate((what) => {
        const dataTransfer = new DataTransfer();
        if (what === 'file') dataTransfer.items.add(new File(['x'], 'x.png'));
        else dataTransfer.setData('text/plain', 'x');
        document.body.dispatchEvent(new DragEvent('dragenter', { dataTransfer, bubbles: true }));
      }, kind);
      assert.equal(await dragging(page), kind === 'file');
    }
  }));
});

test('the API description is shown, not saved', () => visit(async (page) => {
  await page.getByRole('link', { name: 'API description' }).click();
  await page.getByText('openapi: 3.1').waitFor();
}));

describe('a percentage', () => {
  test('says neither none nor all where that is not so', () => visit(async (page) => {
    await drop(page, [image(120)]);
    await card(page, 'succeeded').waitFor();
    assert.deepEqual(await page.locator('.bar-percent').allInnerTexts(), ['> 99.9%', '99.9%', '< 0.1%', '100%', '0%']);
  }, {
    mock: (mock) => {
      const scores = [0.9996, 0.9994, 0.0004, 1, 0].map((score, i) => [`label ${i}`, i, score]);
      const sha = sha256(image(120));
      mock.known.set(idOf(image(120)), makePrediction(sha, { scores }));
    },
  }));
});

describe('leaving the page', () => {
  const names = (page) => part(page, 'name').allInnerTexts();

  test('and coming back brings the results, their maps over thumbnails', () => visit(async (page, mock) => {
    await drop(page, [image(110, 'first.png')]);
    await card(page, 'succeeded').waitFor();
    await drop(page, [image(111, 'second.png'), image(112, 'third.png')]);
    await card(page, 'succeeded').nth(2).waitFor();
    const before = await names(page);
    for (const come of [() => page.reload(), async () => {
      await page.goto(`${mock.url}/problems/`);
      await page.goBack();
    }]) {
      await come();
      await card(page, 'succeeded').nth(2).waitFor();
      assert.deepEqual(await names(page), before);
      await part(page, 'map').nth(2).waitFor();
      assert.equal(await part(page, 'picture').first().evaluate((img) => img.naturalWidth), 64);
    }
    assert.equal(mock.count('POST', /./), 3);
    await page.getByRole('button', { name: 'Remove second.png' }).click();
    await page.reload();
    await card(page, 'succeeded').nth(1).waitFor();
    assert.deepEqual(await names(page), ['third.png', 'first.png']);
    await page.getByRole('button', { name: 'Remove all' }).click();
    await page.reload();
    await page.locator('#labels li').first().waitFor();
    assert.equal(await card(page).count(), 0);
  }));

  test('does not keep a pending answer from arriving', () => visit(async (page, mock) => {
    const file = image(113, 'slow.png');
    const done = makePrediction(sha256(file));
    const queued = { id: done.id, status: 'queued', poll_after_ms: 20 };
    mock.next(POST, (_, response) => send(response, 202, queued));
    mock.next(`GET /api/v1/predictions/${done.id}`, (_, response) => problem(response, 404, 'unknown-prediction'));
    mock.next(`GET /api/v1/predictions/${done.id}`, () => {});
    mock.next(`GET /api/v1/predictions/${done.id}`, (_, response) => send(response, 200, queued));
    await drop(page, [file]);
    await page.getByText('In the queue of the service').waitFor();
    mock.known.set(done.id, done);
    await page.reload();
    await card(page, 'succeeded').waitFor();
    assert.equal(mock.count('POST', /./), 1);
    assert.equal(await part(page, 'badge').innerText(), 'Just computed');
    assert.match(await listen(page), /slow\.png: cat/);
  }));

  test('loses quietly what the service has forgotten', () => visit(async (page, mock) => {
    await drop(page, [image(114), image(115, 'kept.png')]);
    await card(page, 'succeeded').nth(1).waitFor();
    mock.known.delete(idOf(image(114)));
    await page.reload();
    await card(page, 'succeeded').waitFor();
    assert.deepEqual(await names(page), ['kept.png']);
    assert.equal(await listen(page), '');
  }));

  test('is asked about while a file has not gone out', () => visit(async (page, mock) => {
    mock.next(POST, () => {});
    await page.mouse.click(5, 5); // browsers ask for those alone who did something
    await drop(page, [image(116)]);
    await page.getByText('The network is looking').waitFor();
    const dialog = page.waitForEvent('dialog');
    page.close({ runBeforeUnload: true });
    assert.equal((await dialog).type(), 'beforeunload');
    await (await dialog).dismiss();
    await page.getByRole('button', { name: /^Remove image/ }).click();
    await page.reload();
    assert.equal(await card(page).count(), 0);
  }));

  test('is no trouble where storage is full', () => visit(async (page) => {
    await page.evaluate(() => { Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); }; });
    await drop(page, [image(117)]);
    await card(page, 'succeeded').waitFor();
    await page.reload();
    await page.locator('#labels li').first().waitFor();
    assert.equal(await card(page).count(), 0);
  }));
});

describe('a card', () => {
  test('that is removed stops asking', () => visit(async (page, mock) => {
    mock.next(POST, (_, response) => problem(response, 503, 'queue-full', '', { 'Retry-After': '1' }));
    await drop(page, [image(80)]);
    await card(page, 'paused').waitFor();
    await page.getByRole('button', { name: /^Remove image/ }).click();
    await page.waitForTimeout(1500);
    assert.equal(mock.count('POST', /./), 1);
    assert.equal(await page.locator('body').evaluate((body) => body.className), '');
  }));
});
