// How long a browser takes to recompute an epoch:
//
//   cargo run --release -p depin --features parallel --example large_epoch -- FOLDER 100000
//   node large-epoch.mjs FOLDER [EPOCH]
//
// Serves the page's files and the bundles in FOLDER, recomputes the epoch in headless Chromium and prints one JSON object.
import { createReadStream, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { availableParallelism } from "node:os";
import { extname, join } from "node:path";
import process from "node:process";
import { launch, open } from "./lib/browser.mjs";
import { ROOT } from "./lib/network.mjs";

const KINDS = { ".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml", ".wasm": "application/wasm" };
const [folder, epoch = "1"] = process.argv.slice(2);
if (!folder || !/^\d+$/.test(epoch)) {
  console.error("usage: node large-epoch.mjs FOLDER [EPOCH]");
  process.exit(2);
}

function path(url) {
  const bundle = /^\/api\/v1\/bundles\/(\d+)$/.exec(url);
  if (bundle) return join(folder, `${bundle[1]}.bundle`);
  if (url === "/recompute") return join(ROOT, "crates/depin/page/recompute.html");
  const asset = /^\/assets\/@\/([a-z-]+\.[a-z]+)$/.exec(url);
  return asset ? join(ROOT, "crates/depin/page", asset[1]) : null;
}

const server = createServer((asked, answer) => {
  const file = path(new URL(asked.url, "http://localhost").pathname);
  try {
    answer.writeHead(200, { "content-type": KINDS[extname(file)] ?? "application/octet-stream", "content-length": statSync(file).size });
    createReadStream(file).pipe(answer);
  } catch {
    answer.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;
const browser = await launch();
const { page, offences } = await open(browser, origin);
await page.goto(`${origin}/recompute?epoch=${epoch}`);
const started = Date.now();
await page.click("#start");
await page.waitForSelector("#result:not([hidden])", { timeout: 600_000 });
const wall = Date.now() - started;
console.log(
  JSON.stringify({
    verdict: await page.textContent("#verdict"),
    took: await page.textContent("#took").catch(() => null),
    with_download_ms: wall,
    bytes: statSync(join(folder, `${epoch}.bundle`)).size,
    cores: availableParallelism(),
    chromium: browser.version(),
    program_bytes: readFileSync(join(ROOT, "crates/depin/page/recompute.wasm")).length,
    offences,
  }, null, 2),
);
await browser.close();
server.close();
