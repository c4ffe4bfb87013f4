// What stands around every view: where one is, which network this is, how fresh it is, what is read.
import { age, count, plain, span, words } from "../format.js";
import { html, signal } from "../lib.js";
import { link } from "../live.js";
import { now, read } from "../api.js";
import { here, href, recompute, route } from "../router.js";
import { mark, settled } from "./mark.js";
import { said } from "./copy.js";

/** @type {[import("../router.js").View, string][]} */
const LINKS = [
  ["overview", "Overview"], ["nodes", "Nodes"], ["owners", "Owners"], ["epochs", "Epochs"],
  ["customers", "Customers"], ["demand", "Demand"], ["health", "Index health"],
];

/** @typedef {{at?: import("../api.js").At, head: number | null, indexed: number | null, final: number | null, behind_ms: number | null, window: number, reorgs: number, status: string, reason: string | null, next: string | null}} Health */
/** @typedef {{number: number, phase: {name: string}, epoch: number, now: number, schedule: null | {opens: number, commit_until: number, answer_until: number, closes: number}}} Status */

/** What goes on, by the name of the phase. @type {Record<string, string>} */
const PHASES = {
  starting: "the node starts", register: "devices register", deal: "customers hand over their data", pay: "customers pay",
  commit: "devices say what they will be asked about", answer: "devices answer", report: "devices report how they are", finished: "no further epoch",
};

const theme = signal(typeof document === "undefined" ? "" : (document.documentElement.dataset["theme"] ?? ""));

/** @param {unknown} view */
export function shell(view) {
  return html`
    <a class="skip" href="#main">Skip to the content</a>
    <header class="top">
      <a class="brand" href=${href("overview")}><span class="glyph" aria-hidden="true"></span>depin</a>
      <nav aria-label="Views">${LINKS.map(([name, label]) => html`<a href=${href(name)} aria-current=${current(name)}>${label}</a>`)}<a
        href=${recompute({})}>Recompute</a></nav>
      <div class="tools">${reading()}${themes()}</div>
    </header>
    ${strip()}
    <main id="main" tabindex="-1">${view}</main>
    <footer class="bottom">
      <p>Amounts are in tokens; point at one, or read its markup, for all its digits. Times are UTC by the node's clock. <a href="/api/v1/openapi.json">API</a></p>
    </footer>
    <p class="said" role="status" aria-live="polite">${said.value}</p>`;
}

/** @param {import("../router.js").View} name */
function current(name) {
  return route.value.view === name ? (route.value.id === null ? "page" : "true") : undefined;
}

/** What is read: everything, or only what is final. */
function reading() {
  const final = route.value.params.get("at") === "final";
  return html`<div class="switch" role="group" aria-label="Numbers as of">
    <a href=${here({ at: null, cursor: null })} aria-current=${final ? undefined : "true"}>Latest</a>
    <a href=${here({ at: "final", cursor: null })} aria-current=${final ? "true" : undefined}>Final only</a>
  </div>`;
}

function themes() {
  const dark = theme.value === "dark" || (theme.value === "" && matchMedia("(prefers-color-scheme: dark)").matches);
  const other = dark ? "light" : "dark";
  return html`<button type="button" class="theme" onClick=${() => choose(other)} aria-label=${`Switch to ${other} colours`}>${dark ? "☾" : "☀"}</button>`;
}

/** @param {string} name */
function choose(name) {
  theme.value = name;
  document.documentElement.dataset["theme"] = name;
  try {
    localStorage.setItem("theme", name);
  } catch {
    // Then it lasts as long as the page.
  }
}

/** The line below the header: epoch and phase, freshness, how changes arrive. */
function strip() {
  const status = /** @type {import("../api.js").Answer<Status>} */ (read("/api/v1/status", ["status"]));
  const health = /** @type {import("../api.js").Answer<Health>} */ (read("/api/v1/health", ["health"]));
  return html`<section class="strip" aria-label="State of the network">
    ${status.data ? progress(status.data) : html`<p class="phase"><span>${status.error ? "The node does not answer." : "Asking the node…"}</span></p>`}
    ${freshness(health, status.error !== null)}
  </section>`;
}

/** @param {Status} status */
function progress(status) {
  const plan = status.schedule;
  const name = plain(status.phase?.name);
  const phase = PHASES[name] ?? words(name);
  const total = plan ? Math.max(1, plan.closes - plan.opens) : 1;
  const gone = plan ? Math.min(1000, Math.max(0, Math.floor(((now() - plan.opens) * 1000) / total))) : 0;
  const until = plan ? [plan.commit_until, plan.answer_until, plan.closes].find((time) => time > now()) : undefined;
  return html`<div class="phase">
    <p><strong>Epoch <data class="num" value=${String(status.epoch)}>${count(status.epoch)}</data></strong> <span class="what">${phase}</span>
      <span class="quiet">${plan && until ? `${span(plan.closes - now())} to its end` : plan ? "closing" : ""}</span></p>
    <progress max="1000" value=${gone} aria-label="Progress of the epoch" aria-valuetext=${`${Math.floor(gone / 10)} %`}>${Math.floor(gone / 10)} %</progress>
  </div>`;
}

/**
 * @param {import("../api.js").Answer<Health>} health
 * @param {boolean} silent
 */
function freshness(health, silent) {
  const way = silent ? "offline" : link.value;
  const said = { live: "Live", polling: "Asking every 5 s", connecting: "Connecting", offline: "Offline" }[way];
  const data = health.data;
  return html`<div class="fresh">
    ${data?.at ? html`<span>Block <data class="num" value=${plain(data.indexed ?? data.at.block)}>${count(data.indexed ?? data.at.block)}</data>
      <span class="quiet"> ${data.at.time === null ? "" : age(data.at.time, now())}</span></span>
      <span class="quiet">${lag(data)}</span>` : null}
    ${data && data.status !== "live" ? html`<a class="badge warn" href=${href("health")}>index: ${plain(data.status)}</a>` : null}
    ${data?.at ? mark("strip", settled(data.at), data.at) : null}
    <span class=${`dot ${way}`} role="status">${said}</span>
  </div>`;
}

/** @param {Health} health */
function lag(health) {
  if (health.head === null || health.indexed === null) return "";
  const behind = health.head - health.indexed;
  return behind <= 0 ? "no lag" : `${count(behind)} ${behind === 1 ? "block" : "blocks"} behind`;
}
