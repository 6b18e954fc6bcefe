// The files of static/ themselves: the API's description, the problem pages.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { parse } from 'yaml';

const ROOT = new URL('../../', import.meta.url);
const text = (path) => readFile(new URL(path, ROOT), 'utf8');
const slugsIn = (source, pattern) => [...source.matchAll(pattern)].map(([, slug]) => slug);

async function pages() {
  const names = await readdir(new URL('static/problems/', ROOT));
  return names.filter((name) => name !== 'index.html').map((name) => name.replace('.html', '')).sort();
}

test('openapi.yaml is valid OpenAPI 3.1', async () => {
  const source = await text('static/openapi.yaml');
  const result = await new Validator().validate(parse(source));
  assert.equal(result.valid, true, JSON.stringify(result.errors, null, 1));
  assert.match(parse(source).openapi, /^3\.1\./);
});

test('openapi.yaml refers to nothing that is not there', async () => {
  const document = parse(await text('static/openapi.yaml'));
  for (const path of slugsIn(JSON.stringify(document), /"\$ref":"#\/([^"]+)"/g)) {
    const found = path.split('/').reduce((node, key) => node?.[key], document);
    assert.ok(found, path);
  }
});

test('every problem of the front and of nginx has a page, and no other', async () => {
  const front = slugsIn(await text('fcgi/problem.c'), /^ +\{"([a-z-]+)", "/gm);
  const nginx = slugsIn(await text('nginx/convoy.conf'), /"\/problems\/([a-z-]+)"/g);
  assert.ok(front.length > 0 && nginx.length > 0);
  assert.deepEqual(await pages(), [...new Set([...front, ...nginx])].sort());
});

test('the list of problems names every page', async () => {
  const listed = slugsIn(await text('static/problems/index.html'), /href="\/problems\/([a-z-]+)"/g);
  assert.deepEqual(listed.sort(), await pages());
});

test('no page asks anybody else for anything', async () => {
  for (const path of ['static/index.html', 'static/css/base.css', 'static/css/page.css', 'static/css/card.css', 'static/admin/index.html', 'static/css/admin.css']) {
    assert.doesNotMatch(await text(path), /(src|href)="(https?:)?\/\/|url\(["']?(https?:)?\/\/|style="|<style|\son\w+="/);
  }
});
