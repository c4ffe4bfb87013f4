// What a browser loads before the page shows anything: the document and all it leads to, as gzip.
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const page = new URL("..", import.meta.url);

/** Most bytes of a first load, compressed. */
export const LIMIT = 90 * 1024;

/**
 * The files a document leads to, with their compressed sizes.
 * @param {string} document
 */
export async function firstLoad(document) {
  /** @type {Map<string, number>} */
  const sizes = new Map();
  const open = [document];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (sizes.has(name)) continue;
    const bytes = await readFile(new URL(name, page));
    sizes.set(name, gzipSync(bytes, { level: 9 }).length);
    const text = bytes.toString();
    const base = new URL(name, "x:/");
    const links = name.endsWith(".html") ? text.matchAll(/(?:src|href)="\/assets\/@\/([^"]+)"/g) : [];
    const imports = /\.m?js$/.test(name) ? text.matchAll(/^(?:import|export) (?:[^;]*? from )?"(\.[^"]+)";/gm) : [];
    for (const [, to = ""] of links) open.push(to);
    for (const [, to = ""] of imports) open.push(new URL(to, base).pathname.slice(1));
  }
  return sizes;
}
