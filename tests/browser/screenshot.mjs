// screenshot: pictures of the page with real answers, for the README.
//
//     node screenshot.mjs http://127.0.0.1:8080 OUTDIR IMAGE...
//
// Writes page-WIDTH-SCHEME.png: every image classified, its map faded in.

import { join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { drop, imageFile, launch } from './lib/browser.js';

const [url, outdir, ...paths] = process.argv.slice(2);
if (!url || !outdir || paths.length === 0) {
  console.error('usage: node screenshot.mjs URL OUTDIR IMAGE...');
  process.exit(2);
}

const PHONE = { width: 390, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const DESKTOP = { width: 1280, deviceScaleFactor: 2 };

async function picture(browser, { width, ...device }, colorScheme) {
  const viewport = { width, height: 800 };
  const context = await browser.newContext({
    viewport, colorScheme, locale: 'en-US', reducedMotion: 'reduce', ...device,
  });
  const page = await context.newPage();
  await page.goto(url);
  await drop(page, await Promise.all(paths.map(imageFile)));
  await page.waitForFunction((count) =>
    document.querySelectorAll('.card[data-state=succeeded]').length === count, paths.length);
  await page.waitForLoadState('networkidle');
  // A viewport that holds all of the page: full-page screenshots of Chromium
  // forget that it is a phone.
  const height = await page.evaluate(() => {
    const results = document.getElementById('results').getBoundingClientRect();
    return Math.ceil(results.bottom + 32);
  });
  await page.setViewportSize({ width, height });
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(outdir, `page-${width}-${colorScheme}.png`) });
  await context.close();
}

await mkdir(outdir, { recursive: true });
const browser = await launch();
for (const device of [PHONE, DESKTOP]) {
  for (const scheme of ['light', 'dark']) await picture(browser, device, scheme);
}
await browser.close();
