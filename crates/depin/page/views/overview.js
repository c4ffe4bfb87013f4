// How the network does: the last day against the one before, what was earned when, the latest epochs, what was refused.
import { network, read, url } from "../api.js";
import { count, delta, mille, percent, plain, words } from "../format.js";
import { html } from "../lib.js";
import { here, href, route } from "../router.js";
import { bars, periodLabel } from "../parts/chart.js";
import { asOf, mark } from "../parts/mark.js";
import { shown } from "../parts/state.js";
import { table } from "../parts/table.js";
import { inTokens, number, tokens, units } from "../parts/value.js";
import { columns as epochColumns } from "./epochs.js";
import { columns as refusalColumns } from "./refusals.js";

/** @typedef {{name: string, now: string, day_ago: string, final: boolean}} Card */
/** @typedef {{at: import("../api.js").At, cards: Card[], sustainability: {burned: string, minted: string, revenue: string}}} Overview */

/** What each card is called, how it is written, and where it leads. */
/** @type {Record<string, {label: string, kind: "count" | "tokens" | "units", to: string}>} */
const CARDS = {
  devices_active: { label: "Active devices", kind: "count", to: "nodes" },
  paid: { label: "Earned by devices", kind: "tokens", to: "epochs" },
  claimed: { label: "Claimed by owners", kind: "tokens", to: "owners" },
  units: { label: "Work accepted", kind: "units", to: "epochs" },
  epochs_closed: { label: "Epochs closed", kind: "count", to: "epochs" },
  accepted: { label: "Verdicts: accepted", kind: "count", to: "nodes" },
  rejected: { label: "Verdicts: rejected", kind: "count", to: "nodes" },
  refused: { label: "Reports refused", kind: "count", to: "nodes" },
  customers: { label: "Customers", kind: "count", to: "customers" },
  bought: { label: "Credits bought", kind: "tokens", to: "customers" },
  burned: { label: "Burned", kind: "tokens", to: "demand" },
  minted: { label: "Minted", kind: "tokens", to: "demand" },
  devices_seen: { label: "Devices seen", kind: "count", to: "nodes" },
};

export function overview() {
  const answer = /** @type {import("../api.js").Answer<Overview>} */ (read(url("/overview"), ["overview"]));
  const about = network();
  const unit = plain(about.data?.params?.unit);
  return html`
    <div class="head"><h1 tabindex="-1">Overview</h1>${answer.data ? asOf("overview", answer.data.at) : null}</div>
    ${about.data ? lead(about.data) : null}
    ${shown(answer, (data) => cards(data, unit))}
    <div class="pair">
      <section aria-labelledby="h-earned"><h2 id="h-earned">Earned over time</h2>${earned()}</section>
      <section aria-labelledby="h-balance"><h2 id="h-balance">Burned against minted</h2>${shown(answer, (data) => balance(data))}</section>
    </div>
    <section aria-labelledby="h-epochs"><h2 id="h-epochs">Latest epochs</h2>${epochs()}</section>
    <section aria-labelledby="h-refused"><h2 id="h-refused">Refused lately</h2>
      <p class="lead">Reports that were not counted, with the reason. A device's own page says what its owner can do.</p>${refused()}</section>`;
}

/** @param {import("../api.js").Network} about */
function lead({ chain, params, contracts }) {
  return html`<p class="lead">Chain <strong>${plain(chain)}</strong>, id ${plain(params?.chain_id)}; work is counted in <strong>${plain(params?.unit)}</strong>.
    Rewards are claimed from <span class="mono break">${plain(contracts?.distributor)}</span>, devices are registered in <span class="mono break">${plain(contracts?.registry)}</span>.</p>`;
}

/**
 * @param {Overview} data
 * @param {string} unit
 */
function cards({ cards, at }, unit) {
  const order = Object.keys(CARDS);
  const known = [...cards].sort((a, b) => rank(order, a.name) - rank(order, b.name));
  return html`<dl class="cards">${known.map((card) => {
    const { label, kind, to } = CARDS[card.name] ?? { label: words(card.name), kind: "count", to: "" };
    const show = kind === "tokens" ? inTokens : count;
    const change = delta(card.now, card.day_ago, show);
    return html`<div class="card" key=${card.name} id=${`card-${card.name}`}>
      <dt>${to ? html`<a href=${href(/** @type {any} */ (to))}>${label}</a>` : label}</dt>
      <dd class=${`big ${card.now.length > 9 && kind !== "tokens" ? "long" : ""}`}>${kind === "tokens" ? tokens(card.now) : kind === "units" ? units(card.now, false) : number(card.now)}
${kind === "units" ? html`<span class="quiet"> ${unit}</span>` : null}</dd>
      <dd class=${`delta ${change.way}`}>${change.words} <span class="quiet">in 24 h</span></dd>
      <dd>${mark(`card-${card.name}-m`, card.final, at)}</dd>
    </div>`;
  })}</dl>`;
}

/**
 * @param {string[]} order
 * @param {string} name
 */
function rank(order, name) {
  const at = order.indexOf(name);
  return at < 0 ? order.length : at;
}

function earned() {
  const period = route.value.params.get("period") === "day" ? "day" : "hour";
  const answer = /** @type {import("../api.js").Answer<{items: any[], at: any}>} */ (
    read(url("/rollups", { period, limit: 48 }), ["overview", "epochs"])
  );
  return html`<div class="switch" role="group" aria-label="Period">
      <a href=${here({ period: null })} aria-current=${period === "hour" ? "true" : undefined}>By hour</a>
      <a href=${here({ period: "day" })} aria-current=${period === "day" ? "true" : undefined}>By day</a></div>
    ${shown(answer, ({ items, at }) => html`${bars({
      id: "earned", title: "Earned, in tokens", rows: items, head: period === "day" ? "Day" : "Hour",
      label: (row) => periodLabel(row.start, period),
      series: [{ name: "earned", tone: "one", value: (row) => row.earned, show: inTokens, cell: tokens }],
    })}${asOf("rollups", at)}`)}`;
}

/** @param {Overview} data */
function balance({ sustainability: { burned, minted, revenue }, at }) {
  const top = [burned, minted].reduce((a, b) => (BigInt(a) > BigInt(b) ? a : b));
  const covers = BigInt(burned) >= BigInt(minted);
  return html`<div class="balance">
    <p><span>Burned by customers</span> ${tokens(burned)}</p><meter class="two" max="1000" value=${mille(burned, top)} aria-label="Burned" aria-valuetext=${inTokens(burned)}></meter>
    <p><span>Minted for work</span> ${tokens(minted)}</p><meter class="one" max="1000" value=${mille(minted, top)} aria-label="Minted" aria-valuetext=${inTokens(minted)}></meter>
    <p class="verdict"><strong>${percent(minted, burned)}</strong> of what was burned was minted again:
      ${covers ? " the supply shrinks with use." : " more is minted than customers burned."}</p>
    <p><span>Revenue, paid on to devices</span> ${tokens(revenue)}</p>
    ${mark("balance", undefined, at)} <a href=${href("demand")}>Epoch by epoch</a>
  </div>`;
}

function epochs() {
  const answer = /** @type {any} */ (read(url("/epochs", { limit: 6 }), ["epochs"]));
  return table({
    id: "epochs", caption: "The latest closed epochs", answer, columns: epochColumns(answer.data?.at), key: (row) => row.epoch,
    nothing: "No epoch is closed yet.", next: "The first one closes at the end of the time shown above.", cursor: null,
  });
}

function refused() {
  const answer = /** @type {any} */ (read(url("/refusals", { limit: 8 }), ["epochs"]));
  return table({
    id: "refusals", caption: "The latest refusals", answer, columns: refusalColumns(), key: (row) => `${row.epoch}-${row.device}-${row.reason}`,
    nothing: "Nothing was refused.", cursor: null,
  });
}
