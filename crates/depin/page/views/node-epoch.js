// One device in one epoch: how its pay was computed, what every check saw, and how to recompute both.
import { count, plain, units as inUnits, quantity } from "../format.js";
import { html } from "../lib.js";
import { recompute } from "../router.js";
import { badge } from "../parts/badge.js";
import { command } from "../parts/copy.js";
import * as findings from "../parts/findings.js";
import { mark } from "../parts/mark.js";
import { empty } from "../parts/state.js";
import { epoch as epochLink, hash, inTokens, named, tokens, units } from "../parts/value.js";

/**
 * @param {string} did
 * @param {import("./node.js").Judged} row
 * @param {import("../api.js").At | undefined} at
 */
export function detail(did, row, at) {
  const { epoch, earning, verdict } = row;
  return html`<section class="panel" aria-labelledby="h-detail">
    <h3 class="big" id="h-detail">Epoch <span class="num">${count(epoch)}</span> ${badge(verdict?.outcome)} ${mark("detail", row.final, at)}</h3>
    <div class="pair">
      <div><h4>What it earned</h4>${earning ? pay(earning, verdict) : empty("Nothing is known of its pay in this epoch.")}</div>
      <div><h4>What the checks saw</h4>${verdict ? checks(verdict) : empty("No verdict is known for this epoch.")}</div>
    </div>
    <h4>Check it yourself</h4>
    <p>The bundle holds everything that decided this. <a href=${recompute({ epoch, device: did })}>Recompute it in this browser</a>, or where <code>depin</code> is installed:</p>
    ${command(audit(epoch, did), "Command that audits this device")}
    <p>More on <span>epoch ${epochLink(epoch)}</span>.</p>
  </section>`;
}

/**
 * @param {number} epoch
 * @param {string} [did]
 */
export function audit(epoch, did) {
  const origin = typeof location === "undefined" ? "" : location.origin;
  const fetched = did ? `${origin}/api/v1/bundles/${epoch}/devices/${did}` : `${origin}/api/v1/bundles/${epoch}`;
  return `curl -fo ${epoch}.bundle ${fetched} && depin audit ${epoch}.bundle${did ? ` --device ${did}` : ""}`;
}

/**
 * @param {import("./node.js").Earning} earning
 * @param {import("./node.js").Verdict | null} verdict
 */
function pay(earning, verdict) {
  const lines = earning.lines;
  if (!lines) return html`<p>${tokens(earning.earned)} tokens for ${units(earning.units)}. The node's index does not keep how that adds up.</p>`;
  if (lines.length === 0) return html`<p>Nothing: ${none(verdict)}</p>`;
  const revenue = lines.reduce((sum, line) => sum + BigInt(line.revenue), 0n);
  const emission = lines.reduce((sum, line) => sum + BigInt(line.emission), 0n);
  return html`<ul class="lines">${lines.map((line) => html`<li key=${line.deal}>
      <p>${sentence(earning, line)}</p>
      <p class="quiet">Deal ${hash(line.deal)}, customer ${named("customers", line.customer)}</p>
      <p class="sum"><span>revenue ${tokens(line.revenue)}</span><span>+ emission ${tokens(line.emission)}</span></p>
    </li>`)}</ul>
    <p class="total">Together ${tokens(revenue.toString())} revenue + ${tokens(emission.toString())} emission = <strong>${tokens(earning.earned)}</strong> tokens.</p>`;
}

/**
 * @param {import("./node.js").Earning} earning
 * @param {NonNullable<import("./node.js").Earning["lines"]>[number]} line
 */
function sentence(earning, line) {
  const kind = /** @type {{kind?: string}} */ (earning.units)?.kind ?? "";
  const work = inUnits(line.units, kind);
  if (quantity(line.units) === "0") return "Nothing was accepted under this deal, so it paid nothing.";
  return `${work} were proved and paid for. The customer's payment gave ${inTokens(line.revenue)}; the network added ${inTokens(line.emission)} for the demand behind it.`;
}

/** @param {import("./node.js").Verdict | null} verdict */
function none(verdict) {
  if (!verdict || verdict.outcome === "accept") return "no deal paid for work of this device in this epoch.";
  if (verdict.outcome === "inconclusive") return "its work could not be checked. That is never paid, and never punished.";
  return "its work was not accepted. The checks beside this say why, and what to do.";
}

/** @param {import("./node.js").Verdict} verdict */
function checks(verdict) {
  return html`${verdict.findings.length === 0 ? empty("No check was made.") : findings.list(verdict.findings)}
    <p class="quiet">Judged by <span class="mono">${plain(verdict.verifier)}</span> with parameters ${hash(verdict.params)}.</p>`;
}
