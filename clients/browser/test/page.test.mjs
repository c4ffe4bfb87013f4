// The page of a running network with cheaters, in Chromium: what it shows is what the contracts say, and a node that lies is found out.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { complaints, launch, open, screenshot } from "../lib/browser.mjs";
import { contracts } from "../lib/contract.mjs";
import { all, eventually, get, startNetwork } from "../lib/network.mjs";
import { startProxy } from "../lib/proxy.mjs";

let network;
let browser;
let chain;
/** A device that cheated and was found out, an honest one, and an owner. */
let cheater;
let honest;
let owner;

before(async () => {
  network = await startNetwork();
  browser = await launch();
  const known = await get(network.node, "/api/v1/network");
  chain = await contracts(network.chain, known);
  // Two final epochs, so that there is something to look back on.
  await eventually("the second epoch is final", async () => {
    const epochs = (await get(network.node, "/api/v1/epochs")).items;
    return epochs.some((row) => row.epoch >= 1 && row.status === "final");
  });
  const devices = await all(network.node, "/api/v1/devices");
  cheater = devices.find((row) => row.last_outcome === "reject")?.did;
  honest = devices.find((row) => BigInt(row.earned) > 0n && row.last_outcome === "accept");
  owner = honest?.owner;
  assert.ok(cheater && honest && owner, "the run has a cheater that was found out and a device that earned");
});

after(async () => {
  chain?.stop();
  await browser?.close();
  await network?.stop();
});

const views = () => [
  ["overview", "/"], ["nodes", "/nodes"], ["node", `/nodes/${honest.did}`], ["cheater", `/nodes/${cheater}`], ["owners", "/owners"], ["owner", `/owners/${owner}`],
  ["epochs", "/epochs"], ["epoch", "/epochs/1"], ["customers", "/customers"], ["demand", "/demand"], ["health", "/health"], ["recompute", "/recompute?epoch=1"],
];

/** Opens a view and waits until nothing in it waits. */
async function visit(page, base, path) {
  await page.goto(base + path);
  await page.waitForSelector("h1");
  await page.waitForFunction(() => document.querySelector(".waiting") === null && document.querySelector(".boot") === null);
}

test("earnings move without a reload", async (t) => {
  const { page, offences, close } = await open(browser, network.node);
  await visit(page, network.node, "/");
  await page.evaluate(() => { globalThis.stayed = true; });
  const paid = page.locator("#card-paid data.num");
  const first = BigInt(await paid.getAttribute("value"));
  await eventually("what devices earned rises", async () => BigInt(await paid.getAttribute("value")) > first);
  assert.equal(await page.evaluate(() => globalThis.stayed), true, "the document is the same");
  assert.deepEqual(offences, []);
  await close();
});

test("every number on each view is one that the API gave to it", async (t) => {
  for (const [name, path] of views().filter(([name]) => name !== "recompute")) {
    const { page, offences, answers, close } = await open(browser, network.node);
    await visit(page, network.node, path);
    // Answers may still arrive while the page shows those before them: what it shows has to be in one of them.
    const shown = await page.evaluate(() => [...document.querySelectorAll("main data[value]")].filter((one) => one.closest(".total") === null).map((one) => one.getAttribute("value")));
    const given = new Set();
    for (const body of (await Promise.all([...answers.values()].flat())).filter(Boolean)) collect(body, given);
    assert.ok(shown.length > 0, `${name} shows numbers`);
    assert.deepEqual(shown.filter((value) => !given.has(value)), [], `${name} shows numbers that no answer holds`);
    assert.deepEqual(offences, [], name);
    await close();
  }
});

/** Every string and number of a JSON value, as text. */
function collect(value, into) {
  if (value !== null && typeof value === "object") Object.values(value).forEach((one) => collect(one, into));
  else if (value !== null) into.add(String(value));
}

test("what the page got about epochs, owners and claims is what the contracts say at the same block", async (t) => {
  const { page, answers, close } = await open(browser, network.node);
  for (const path of ["/", "/epochs", "/owners", `/owners/${owner}`, "/epochs/1"]) await visit(page, network.node, path);
  let compared = 0;
  for (const [path, bodies] of answers) {
    for (const body of (await Promise.all(bodies)).filter((body) => body?.at?.block)) {
      compared += await agrees(path, body);
    }
  }
  assert.ok(compared >= 10, `${compared} comparisons were made`);
  await close();
});

/** Compares one answer with the contracts at its block. Gives the number of comparisons. */
async function agrees(path, body) {
  const { block } = body.at;
  const where = `${path} at block ${block}`;
  if (path.startsWith("/api/v1/epochs")) {
    const rows = path.includes("/devices") ? [] : (body.items ?? [body]);
    let compared = 0;
    for (const row of rows) {
      const said = await chain.epoch(row.epoch, block);
      assert.equal(row.status === "final", said?.final ?? false, `${where}: whether epoch ${row.epoch} is final`);
      if (said === null) continue;
      assert.equal(row.root, said.root, `${where}: root of epoch ${row.epoch}`);
      assert.equal(BigInt(row.paid), said.total, `${where}: what epoch ${row.epoch} pays`);
      if (row.revenue !== undefined) assert.equal(BigInt(row.revenue), said.revenue, `${where}: revenue of epoch ${row.epoch}`);
      if (said.final) assert.equal(said.finalRoot, row.root);
      compared += 1;
    }
    return compared;
  }
  if (/^\/api\/v1\/owners/.test(path) && !path.includes("rollups")) {
    const claimed = await chain.claimed(block);
    const rows = body.items ?? [body];
    for (const row of rows) assert.equal(BigInt(row.claimed), claimed.get(row.address.toLowerCase()) ?? 0n, `${where}: claimed by ${row.address}`);
    return rows.length;
  }
  if (path.startsWith("/api/v1/overview")) {
    const sum = [...(await chain.claimed(block)).values()].reduce((a, b) => a + b, 0n);
    assert.equal(BigInt(body.cards.find((card) => card.name === "claimed").now), sum, `${where}: claimed by everybody`);
    return 1;
  }
  return 0;
}

test("a cheater's page gives the reason and the next step", async (t) => {
  const { page, offences, close } = await open(browser, network.node);
  await visit(page, network.node, "/nodes?outcome=reject");
  await page.click(`a[href^="/nodes/${cheater}"]`);
  await page.waitForSelector(".findings li.fail");
  const finding = page.locator(".findings li.fail").first();
  const verdicts = await all(network.node, `/api/v1/devices/${cheater}/verdicts`);
  const fails = verdicts.flatMap((verdict) => verdict.findings).filter((one) => one.result === "fail");
  const words = (await finding.textContent()).trim();
  assert.ok(fails.some((one) => words.includes(one.check)), words);
  const next = (await finding.locator(".next").textContent()).replace(/^Next step\s*/, "");
  assert.ok(fails.some((one) => one.next !== "" && next.includes(one.next.slice(0, 40))), next);
  await screenshot(page, "cheater");
  assert.deepEqual(offences, []);
  await close();
});

test("nothing for axe-core to complain about, in the dark, in the light and on a phone", async (t) => {
  const looks = [["dark", { colorScheme: "dark" }], ["light", { colorScheme: "light" }], ["phone", { colorScheme: "light", viewport: { width: 360, height: 740 } }]];
  const found = [];
  for (const [look, options] of looks) {
    const { page, close } = await open(browser, network.node, options);
    for (const [name, path] of views()) {
      await visit(page, network.node, path);
      found.push(...(await complaints(page)).map((one) => `${name}, ${look}: ${one}`));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) found.push(`${name}, ${look}: ${wide} pixels wider than the screen`);
      await screenshot(page, `${name}-${look}`);
    }
    await close();
  }
  assert.deepEqual(found, []);
});

test("an address that leads nowhere says so, and leads on", async () => {
  const { page, offences, close } = await open(browser, network.node);
  const answer = await page.goto(`${network.node}/devices/what`);
  assert.equal(answer.status(), 404);
  assert.equal(await page.locator("h1").textContent(), "Nothing is here");
  await page.getByText("Go to the overview").click();
  await page.waitForSelector("#card-paid");
  assert.deepEqual(offences.filter((one) => !one.includes("status of 404")), []);
  await close();
});

test("the CSV of a list has every row of it", async () => {
  const { page, close } = await open(browser, network.node);
  await visit(page, network.node, "/nodes");
  const links = await page.locator("a.csv").evaluateAll((found) => found.map((one) => one.href));
  await visit(page, network.node, `/owners/${owner}`);
  links.push(...(await page.locator("a.csv").evaluateAll((found) => found.map((one) => one.href))));
  assert.equal(links.length, 3, "devices, claims, and the devices of an owner");
  for (const link of links) {
    const { pathname, search } = new URL(link);
    const rows = await all(network.node, `${pathname}${search.replace("format=csv", "format=json")}&limit=2`);
    const lines = (await (await fetch(link)).text()).trimEnd().split("\r\n");
    assert.ok(lines.length - 1 >= rows.length && rows.length > 0, `${link}: ${lines.length} lines, ${rows.length} rows`);
  }
  await close();
});

test("hostile text stays text", async (t) => {
  const evil = "<img src=x onerror=\"globalThis.owned=1\"><script>globalThis.owned=1</script>\u202Ekcab\u2066 =HYPERLINK(\"http://x.invalid\") javascript:alert(1)";
  const fields = new Set(["words", "next", "observed", "limit", "reason", "check", "message", "verifier", "unit", "chain"]);
  const spoil = (value) => {
    if (Array.isArray(value)) return value.map(spoil);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, fields.has(key) && typeof one === "string" && key !== "next" ? evil : spoil(one)]));
  };
  const proxy = await startProxy(network.node, (path, body) => {
    if (!path.startsWith("/api/v1/") || path.startsWith("/api/v1/bundles")) return null;
    return Buffer.from(JSON.stringify(spoil(JSON.parse(body))));
  });
  t.after(proxy.stop);
  const { page, offences, close } = await open(browser, proxy.url);
  t.after(close);
  let shown = 0;
  for (const [name, path] of views().filter(([name]) => ["overview", "cheater", "nodes", "health"].includes(name))) {
    await visit(page, proxy.url, path);
    const found = await page.evaluate(() => ({
      owned: globalThis.owned, images: document.querySelectorAll("main img, main script, main a[href^='javascript']").length,
      text: document.body.textContent.includes("<img src=x"), hidden: /[\u202A-\u202E\u2066-\u2069]/.test(document.body.textContent),
    }));
    assert.equal(found.owned, undefined, name);
    assert.equal(found.images, 0, name);
    assert.equal(found.hidden, false, `${name} shows characters that turn the text`);
    shown += found.text ? 1 : 0;
  }
  assert.ok(shown >= 2, "the hostile text was there, as text");
  assert.deepEqual(offences, []);
});

test("a keyboard alone leads from the first view to a finding", async (t) => {
  const { page, offences, close } = await open(browser, network.node);
  await visit(page, network.node, "/");
  const press = async (wanted, most = 120) => {
    for (let n = 0; n < most; n += 1) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const one = document.activeElement;
        const style = getComputedStyle(one);
        return { href: one.getAttribute("href") ?? "", seen: style.outlineStyle !== "none" || style.boxShadow !== "none" };
      });
      assert.ok(at.seen, `the focus is visible on ${at.href}`);
      if (wanted(at.href)) return page.keyboard.press("Enter");
    }
    throw new Error("the keyboard does not lead there");
  };
  await press((href) => href === "#main");
  await page.keyboard.press("Shift+Tab");
  await visit(page, network.node, "/");
  await press((href) => /^\/nodes(\?|$)/.test(href));
  await page.waitForSelector("#devices, table");
  await page.waitForFunction(() => document.querySelector(".waiting") === null);
  await press((href) => href.startsWith(`/nodes/${cheater}`));
  await page.waitForSelector(".findings li.fail");
  assert.deepEqual(offences, []);
  await close();
});
