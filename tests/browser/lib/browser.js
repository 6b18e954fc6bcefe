// browser: a headless Chromium of the machine's own, and how to hand it images.

import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { chromium } from 'playwright-core';
import { png } from './png.js';

export function launch(args = []) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [...args, ...(process.getuid() === 0 ? ['--no-sandbox'] : [])],
  });
}

// An image of its own for every seed of 32 bits.
export function image(seed, name = `image-${seed}.png`) {
  const buffer = png(64, 48, (x, y) => [x * 4, y * 5, (seed >> 8 * (x % 4)) & 255, 255]);
  return { name, mimeType: 'image/png', buffer };
}

export async function imageFile(path) {
  return { name: basename(path), mimeType: '', buffer: await readFile(path) };
}

// As files arrive from the desktop.
export async function drop(page, files) {
  const plain = files.map(({ name, mimeType, buffer }) => ({ name, type: mimeType, base64: buffer.toString('base64') }));
  const transfer = await page.evaluateHandle((list) => {
    const data = new DataTransfer();
    for (const { name, type, base64 } of list) {
      const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      data.items.add(new File([bytes], name, { type }));
    }
    return data;
  }, plain);
  for (const event of ['dragenter', 'dragover', 'drop']) {
    await page.dispatchEvent('.intake', event, { dataTransfer: transfer });
  }
}

// size: bytes that the file is filled up to.
export async function paste(page, { name, mimeType, buffer }, size = 0) {
  await page.evaluate(([fileName, type, base64, total]) => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const filling = new Uint8Array(Math.max(0, total - bytes.length));
    const data = new DataTransfer();
    data.items.add(new File([bytes, filling], fileName, { type }));
    window.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
  }, [name, mimeType, buffer.toString('base64'), size]);
}
