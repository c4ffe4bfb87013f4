// One device: what it is, how each epoch went for it, what it was paid for what, and what its owner can do about the rest.
import { read, url } from "../api.js";
import { plain } from "../format.js";
import { html } from "../lib.js";
import { here, route } from "../router.js";
import { badge } from "../parts/badge.js";
import { bars, periodLabel } from "../parts/chart.js";
import { copyable } from "../parts/copy.js";
import * as findings from "../parts/findings.js";
import { asOf, mark } from "../parts/mark.js";
import { absent, shown } from "../parts/state.js";
import { finality, listed, table } from "../parts/table.js";
import { epoch, inTokens, named, number, tokens, units, when, date, between } from "../parts/value.js";
import { detail } from "./node-epoch.js";
import { columns as refusalColumns } from "./refusals.js";

/** @typedef {import("./nodes.js").Device} Device */
/** @typedef {{epoch: number, owner: string, units: unknown, earned: string, lines?: {deal: string, customer: string, units: unknown, revenue: string, emission: string}[], status?: string, final?: boolean}} Earning */
/** @typedef {{epoch: number, verifier: string, params: string, outcome: string, contributions: {deal: string, outcome: string, proved: unknown}[], findings: import("../parts/findings.js").Finding[], final?: boolean}} Verdict */
/** @typedef {{epoch: number, earning: Earning | null, verdict: Verdict | null, final?: boolean}} Judged */

/** @param {string} did */
export function node(did) {
  const path = `/devices/${encodeURIComponent(did)}`;
  const topics = [`device:${did}`, "epochs"];
  const answer = /** @type {import("../api.js").Answer<Device & {at?: any}>} */ (read(url(path), topics));
  if (answer.error && !answer.data) return absent("Node", did, answer.error, "nodes");
  const timeline = judged(path, topics);
  const chosen = pick(timeline.data?.items ?? []);
  return html`
    <div class="head"><h1 tabindex="-1">Node</h1>${answer.data ? asOf("node", answer.data.at) : null}</div>
    <p class="subject"><span class="mono break" id="did">${plain(did)}</span> ${copyable(did, "the device's DID")}</p>
    ${shown(answer, (device) => facts(device))}
    <section aria-labelledby="h-time"><h2 id="h-time">Epoch by epoch</h2>
      ${marks(timeline.data?.items ?? [], chosen)}
      ${chosen ? detail(did, chosen, timeline.data?.at) : null}
      ${table({
        id: "timeline", caption: "How each epoch went", answer: timeline, columns: columns(timeline.data?.at), key: (row) => row.epoch,
        nothing: "This device was not judged yet.", next: "It is judged at the end of each epoch it has a deal for.", pick: (row) => row.epoch === chosen?.epoch,
      })}
    </section>
    <section aria-labelledby="h-earned"><h2 id="h-earned">Earned over time</h2>${rollups(path, topics)}</section>
    <div class="pair">
      <section aria-labelledby="h-reports"><h2 id="h-reports">Reports and gaps</h2>${reports(path, topics)}</section>
      <section aria-labelledby="h-refused"><h2 id="h-refused">Refusals</h2>${refusals(path, topics)}</section>
    </div>`;
}

/** @param {Device & {at?: any}} device */
function facts(device) {
  const { at } = device;
  return html`<dl class="facts">
    <div><dt>Status</dt><dd>${badge(device.status)}</dd></div>
    <div><dt>Owner</dt><dd>${named("owners", device.owner)}</dd></div>
    <div><dt>Earned</dt><dd>${tokens(device.earned)} ${mark("earned", device.final, at)}</dd></div>
    <div><dt>Of that final</dt><dd>${device.earned_final === undefined ? "–" : html`${tokens(device.earned_final)} ${mark("earned-final", true, at)}`}</dd></div>
    <div><dt>Reports</dt><dd>${number(device.reports)} <span class="quiet">last ${when(device.last_report)}</span></dd></div>
    <div><dt>Refused</dt><dd>${device.refused === undefined ? "–" : number(device.refused)}</dd></div>
    <div><dt>Last verdict</dt><dd>${badge(device.last_outcome)} ${device.last_epoch === null ? null : html`<span class="quiet">epoch ${epoch(device.last_epoch)}</span>`}</dd></div>
    <div><dt>Registered</dt><dd>${device.registered_at === null ? "not yet" : html`block ${number(device.registered_at)}`} ${typeof device.registered_time === "number" ? html`<span class="quiet">${date(device.registered_time)}</span>` : null}</dd></div>
  </dl>`;
}

/**
 * Earnings and verdicts of the same epochs, joined: a device has both for each epoch it was judged in.
 * @param {string} path
 * @param {string[]} topics
 * @returns {import("../api.js").Answer<import("../parts/table.js").Page<Judged>>}
 */
function judged(path, topics) {
  const [first = null, second = null] = route.value.params.get("cursor")?.split(".") ?? [];
  const earned = /** @type {any} */ (read(url(`${path}/earnings`, { limit: 12, cursor: first }), topics));
  const said = /** @type {any} */ (read(url(`${path}/verdicts`, { limit: 12, cursor: second }), topics));
  const waiting = earned.waiting || said.waiting;
  if (!earned.data || !said.data) return { data: null, error: earned.error ?? said.error, waiting };
  /** @type {Map<number, Verdict>} */
  const verdicts = new Map(said.data.items.map((/** @type {Verdict} */ row) => [row.epoch, row]));
  const items = earned.data.items.map((/** @type {Earning} */ earning) => ({
    epoch: earning.epoch, earning, verdict: verdicts.get(earning.epoch) ?? null, final: earning.final,
  }));
  const next = earned.data.next && said.data.next ? `${earned.data.next}.${said.data.next}` : null;
  return { data: { items, next, at: earned.data.at }, error: earned.error ?? said.error, waiting };
}

/** @param {Judged[]} items */
function pick(items) {
  const wanted = Number(route.value.params.get("epoch") ?? NaN);
  return items.find((row) => row.epoch === wanted) ?? items[0] ?? null;
}

/**
 * @param {Judged[]} items
 * @param {Judged | null} chosen
 */
function marks(items, chosen) {
  if (items.length === 0) return null;
  return html`<ol class="ticks" aria-label="Verdicts, oldest first">${[...items].reverse().map(({ epoch, verdict }) => {
    const outcome = plain(verdict?.outcome ?? "none");
    return html`<li><a class=${`tickmark ${outcome}`} href=${here({ epoch })} aria-current=${epoch === chosen?.epoch ? "true" : undefined}
      aria-label=${`Epoch ${epoch}: ${outcome}`} title=${`Epoch ${epoch}: ${outcome}`}>${{ accept: "✓", reject: "✕", inconclusive: "?" }[outcome] ?? "–"}</a></li>`;
  })}</ol>`;
}

/**
 * @param {import("../api.js").At | undefined} at
 * @returns {import("../parts/table.js").Column<Judged>[]}
 */
function columns(at) {
  return [
    { head: "Epoch", kind: "main", cell: (row) => html`<a class="num" href=${here({ epoch: row.epoch })} aria-label=${`Show epoch ${row.epoch}`}>${row.epoch}</a>` },
    { head: "Verdict", cell: (row) => badge(row.verdict?.outcome) },
    { head: "Why", kind: "wide", cell: (row) => (row.verdict ? findings.gist(row.verdict.findings) : "–") },
    { head: "Work accepted", kind: "num", cell: (row) => units(row.earning?.units) },
    { head: "Earned", kind: "num", cell: (row) => tokens(row.earning?.earned) },
    { head: "Root", cell: (row) => badge(row.earning?.status) },
    finality("judged", (row) => row.epoch, at),
  ];
}

/**
 * @param {string} path
 * @param {string[]} topics
 */
function rollups(path, topics) {
  const period = route.value.params.get("period") === "day" ? "day" : "hour";
  const answer = /** @type {any} */ (read(url(`${path}/rollups`, { period, limit: 48 }), topics));
  return html`<div class="switch" role="group" aria-label="Period">
      <a href=${here({ period: null })} aria-current=${period === "hour" ? "true" : undefined}>By hour</a>
      <a href=${here({ period: "day" })} aria-current=${period === "day" ? "true" : undefined}>By day</a></div>
    ${shown(answer, (/** @type {any} */ { items, at }) => html`${bars({
      id: "earned-chart", title: "Earned, in tokens", rows: items, head: period === "day" ? "Day" : "Hour", label: (row) => periodLabel(row.start, period),
      series: [{ name: "earned", tone: "one", value: (row) => row.earned, show: inTokens, cell: tokens }],
    })}${asOf("node-rollups", at)}`)}`;
}

/**
 * @param {string} path
 * @param {string[]} topics
 */
function reports(path, topics) {
  const { from, csv } = listed(`${path}/reports`, {}, "reports", 10);
  return table({
    id: "reports", caption: "Reports by epoch", answer: /** @type {any} */ (read(from, topics)), key: (/** @type {any} */ row) => row.epoch, csv, cursor: "reports",
    nothing: "No report came in from this device.", next: "Is it running, and can it reach the node?",
    columns: [
      { head: "Epoch", kind: "main", cell: (row) => epoch(row.epoch) },
      { head: "Counted", kind: "num", cell: (row) => number(row.counted) },
      { head: "Refused", kind: "num", cell: (row) => number(row.refused) },
      { head: "Missing", kind: "num", cell: (row) => (row.missing > 0 ? html`<strong class="warned">${number(row.missing)}</strong>` : number(row.missing)) },
      { head: "First and last", cell: (row) => between(row.first, row.last) },
    ],
  });
}

/**
 * @param {string} path
 * @param {string[]} topics
 */
function refusals(path, topics) {
  const { from, csv } = listed(`${path}/refusals`, {}, "refused", 10);
  return table({
    id: "refused", caption: "Refused reports of this device", answer: /** @type {any} */ (read(from, topics)), csv, cursor: "refused",
    key: (row) => `${row.epoch}-${row.reason}`, columns: refusalColumns().filter(({ head }) => head !== "Device"), nothing: "Nothing this device sent was refused.",
  });
}
