// A network that goes by the clock of this machine: the page follows its phases, and a dispute from the challenge to the root that is final after all.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { complaints, launch, open, screenshot } from "../lib/browser.mjs";
import { challenger } from "../lib/contract.mjs";
import { all, eventually, get, startNetwork } from "../lib/network.mjs";

let network;
let browser;
let somebody;

before(async () => {
  network = await startNetwork({ seed: null, seconds: "3", devices: "2", cheaters: "0" });
  browser = await launch();
  const key = readFileSync(join(network.state, "customers/customer-0/wallet.key"), "utf8").trim();
  somebody = await challenger(network.chain, await get(network.node, "/api/v1/network"), key);
});

after(async () => {
  somebody?.stop();
  await browser?.close();
  await network?.stop();
});

test("the overview follows the phases of the epoch without a reload", async () => {
  const { page, offences, close } = await open(browser, network.node);
  await page.goto(network.node);
  await page.waitForSelector(".dot.live");
  await page.evaluate(() => { globalThis.stayed = true; });
  const line = page.locator(".phase");
  const heard = [];
  page.on("response", (response) => heard.push(new URL(response.url()).pathname));
  for (const phase of ["devices answer", "devices report how they are", "devices say what they will be asked about"]) {
    await eventually(phase, async () => (await line.textContent()).includes(phase));
  }
  assert.equal(await page.evaluate(() => globalThis.stayed), true, "the document is the same");
  assert.ok(heard.includes("/api/v1/status"), "it was told to read the status again");
  assert.equal(await page.locator(".dot").textContent(), "Live");
  assert.deepEqual(offences, []);
  await close();
});

test("a dispute is told step by step, and the root is final after all", async () => {
  // Whoever is too late for one epoch is in time for the next.
  const epoch = await eventually("a root that is challenged in time", async () => {
    const open = (await get(network.node, "/api/v1/epochs")).items.find((row) => row.status === "proposed");
    if (open) await somebody.challenge(open.epoch);
    return open?.epoch.toString();
  });
  const path = `/api/v1/epochs/${epoch}`;
  const row = await eventually("the index knows", async () => ((one) => one.status === "challenged" && one)(await get(network.node, path)));
  const { page, offences, close } = await open(browser, network.node, { viewport: { width: 360, height: 740 } });
  await page.goto(`${network.node}/epochs/${epoch}`);
  const root = page.locator("section.panel");
  await root.getByText("This root is in dispute").waitFor();
  const steps = root.locator("ol.lines li");
  assert.deepEqual(await steps.locator("strong").allTextContents(), ["Evidence.", "Ruling."]);
  assert.equal(await steps.first().locator("time").getAttribute("datetime"), new Date(row.contested_at + 2_000).toISOString());
  assert.equal(await steps.nth(1).locator("time").getAttribute("datetime"), new Date(row.deadline * 1000).toISOString());
  assert.match(await steps.nth(1).textContent(), /The resolver then has 2 s/);
  assert.equal(await steps.locator("xpath=self::*[@aria-current='step']").count(), 1, "one step is the present one");
  assert.deepEqual(await complaints(page), []);
  await screenshot(page, "dispute-phone");
  const owner = (await all(network.node, `${path}/devices`)).find((one) => BigInt(one.earned) > 0n).owner;
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.goto(`${network.node}/owners/${owner}`);
  await page.getByText("its root is in dispute").waitFor();

  // Nobody rules, so anybody can end it. The page hears of what follows.
  await page.goto(`${network.node}/epochs/${epoch}`);
  await eventually("the time for a ruling is up", async () => somebody.timeout(epoch));
  await root.getByText("Rounds that ended without a root: 1.").waitFor({ timeout: 60_000 });
  await root.getByText("This root is final").waitFor({ timeout: 60_000 });
  await screenshot(page, "dispute-over");
  const told = (await all(network.node, "/api/v1/roots")).filter((one) => one.epoch === Number(epoch)).map((one) => one.what).reverse();
  assert.deepEqual(told, ["proposed", "challenged", "contested", "voided", "revived", "finalised"]);
  assert.deepEqual(offences, []);
  await close();
});
