import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { LIMIT, firstLoad } from "../tools/size.mjs";

const page = new URL("..", import.meta.url);
const files = (await readdir(page, { recursive: true })).filter((name) => !/^(node_modules|vendor|test|tools)\b/.test(name));

/** @param {string} name */
const source = async (name) => (await readFile(new URL(name, page), "utf8"));

test("no_text_can_become_markup_or_code", async () => {
  const forbidden = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|dangerouslySetInnerHTML|createContextualFragment|\beval\(|new Function|srcdoc|javascript:/;
  for (const name of files.filter((name) => /\.(m?js|html)$/.test(name))) assert.doesNotMatch(await source(name), forbidden, name);
});

test("nothing_is_asked_of_another_origin", async () => {
  const outside = /(?:src|href|action)="(?:https?:)?\/\/|@import|url\(["']?(?:https?:)?\/\//;
  for (const name of files.filter((name) => /\.(js|html|css)$/.test(name))) assert.doesNotMatch(await source(name), outside, name);
});

test("documents_have_no_script_or_style_in_line", async () => {
  for (const name of files.filter((name) => name.endsWith(".html"))) {
    assert.doesNotMatch(await source(name), /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/i, name);
  }
});

test("amounts_never_become_doubles", async () => {
  for (const name of files.filter((name) => /\.js$/.test(name))) assert.doesNotMatch(await source(name), /parseFloat|toFixed|toLocaleString/, name);
});

test("the_first_load_is_small", async () => {
  const sizes = await firstLoad("index.html");
  const sum = [...sizes.values()].reduce((a, b) => a + b, 0);
  for (const needed of ["main.js", "base.css", "parts.css", "vendor/preact.mjs", "views/node.js"]) assert.ok(sizes.has(needed), needed);
  assert.ok(sum <= LIMIT, `${sum} bytes`);
});
