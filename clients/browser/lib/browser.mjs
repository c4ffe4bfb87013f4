// Chromium, and what every page has to keep to: nothing leaves its origin, nothing is complained about, no policy is broken.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { ROOT } from "./network.mjs";

const ARTIFACTS = process.env.DEPIN_ARTIFACTS ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "browser");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SWITCHES = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

export function launch() {
  return chromium.launch({ executablePath: process.env.DEPIN_CHROMIUM ?? "/usr/bin/chromium", args: SWITCHES });
}

/**
 * A page of its own profile whose offences are collected. `also` are origins that it may ask besides its own.
 */
export async function open(browser, origin, { also = [], ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  const offences = [];
  const answers = new Map();
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  page.on("request", (request) => {
    const asked = new URL(request.url());
    const inside = asked.origin === origin || also.includes(asked.origin) || ["data:", "blob:"].includes(asked.protocol);
    if (!inside) offences.push(`a request left the origin: ${request.url()}`);
  });
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) offences.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => offences.push(`uncaught: ${error.message}`));
  page.on("response", (response) => {
    const path = new URL(response.url()).pathname + new URL(response.url()).search;
    if (path.startsWith("/api/v1/") && (response.headers()["content-type"] ?? "").startsWith("application/json")) {
      answers.set(path, [...(answers.get(path) ?? []), response.json().catch(() => null)]);
    }
  });
  return { page, offences, answers, close: () => context.close() };
}

/** What axe-core finds, as lines. */
export async function complaints(page) {
  // By the tester's hand and not the page's: its policy runs no script from elsewhere, and says so.
  const session = await page.context().newCDPSession(page);
  const run = `${AXE};axe.run(document, { resultTypes: ["violations"] }).then((found) => JSON.stringify(found.violations.flatMap((one) => one.nodes.map((node) => one.id + " at " + node.target.join(" ") + ": " + node.failureSummary))))`;
  const { result, exceptionDetails } = await session.send("Runtime.evaluate", { expression: run, awaitPromise: true, returnByValue: true });
  await session.detach();
  if (exceptionDetails) throw new Error(`axe-core did not run: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
  return JSON.parse(result.value);
}

export async function screenshot(page, name) {
  mkdirSync(ARTIFACTS, { recursive: true });
  await page.screenshot({ path: join(ARTIFACTS, `${name}.png`), fullPage: true });
}
