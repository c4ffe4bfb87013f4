// How far the root of an epoch has come, in words: what waits for whom, until when, and what comes then.
import { network, now } from "../api.js";
import { count, span } from "../format.js";
import { html } from "../lib.js";
import { date } from "../parts/value.js";

/** @typedef {import("./epochs.js").Epoch} Epoch */
/** @typedef {NonNullable<import("../api.js").Network["windows"]>} Windows */

/** @param {Epoch} row */
export function standing(row) {
  const windows = network().data?.windows ?? null;
  return html`${words(row, windows)}<p class="quiet">${history(row)}</p>`;
}

/**
 * @param {Epoch} row
 * @param {Windows | null} windows
 */
function words(row, windows) {
  switch (row.status) {
    case "final":
      return html`<p>This root is final: owners can claim from it.</p>`;
    case "proposed":
      return html`<p>This root can be challenged${windows ? ` for ${span(windows.challenge * 1000)}` : ""} by anybody who puts up a bond. ${end(row, "Then it becomes final.", "The window is over; anybody can make the root final now.")}</p>`;
    case "challenged":
      return dispute(row, windows);
    case "voided":
      return html`<p>A dispute ended without a root. Nothing is lost: a root for this epoch has to be proposed again, and can be challenged again.
        ${windows && row.voids !== undefined ? chance(row.voids, windows.max_voids) : null}</p>`;
    default:
      return html`<p>No root for this epoch is on the chain yet. The operator proposes it next.</p>`;
  }
}

/**
 * @param {Epoch} row
 * @param {string} then
 * @param {string} over
 */
function end(row, then, over) {
  if (typeof row.deadline !== "number") return null;
  const at = row.deadline * 1000;
  return at > now() ? html`The window ends in ${span(at - now())}, at ${date(at)}. ${then}` : over;
}

/**
 * The steps of a dispute, the present one marked.
 * @param {Epoch} row
 * @param {Windows | null} windows
 */
function dispute(row, windows) {
  const since = row.contested_at ?? null;
  const first = html`<p>This root is in dispute${since === null ? null : html` since ${date(since)}`}: nothing can be claimed from it before that is settled.</p>`;
  if (since === null || windows === null) return first;
  const evidence = since + windows.evidence * 1000;
  const ruling = evidence + windows.resolution * 1000;
  const staked = (row.voids ?? 0) >= windows.max_voids;
  const steps = staked
    ? [step(since, evidence, html`<strong>Stake decides.</strong> For ${span(windows.evidence * 1000)}, until ${date(evidence)}, anybody can put tokens behind a root; the earlier, the more they weigh.`),
        step(evidence, Infinity, html`Then anybody can end the round: the root with the most weight becomes final; with a tie everything begins anew.`)]
    : [step(since, evidence, html`<strong>Evidence.</strong> For ${span(windows.evidence * 1000)}, until ${date(evidence)}, others can propose another root, or challenge one.`),
        step(evidence, ruling, html`<strong>Ruling.</strong> The resolver then has ${span(windows.resolution * 1000)}, until ${date(ruling)}, to name the root that is right, or none.`),
        step(ruling, Infinity, html`Without a ruling by then, anybody can end the round without a root, and one has to be proposed again.`)];
  return html`${first}<ol class="lines">${steps}</ol>`;
}

/**
 * @param {number} from
 * @param {number} until
 * @param {unknown} words
 */
function step(from, until, words) {
  const time = now();
  const present = from <= time && time < until;
  const left = !present ? null : until === Infinity ? " That is now." : ` ${span(until - time)} left.`;
  return html`<li class=${time >= until ? "quiet" : ""} aria-current=${present ? "step" : undefined}><p>${words}${left}</p></li>`;
}

/**
 * @param {number} voids
 * @param {number} most
 */
function chance(voids, most) {
  return voids >= most ? "Should it be challenged, stake decides and no longer the resolver." : `After ${count(most)} such rounds stake decides instead of the resolver; so far ${count(voids)}.`;
}

/** @param {Epoch} row */
function history(row) {
  const said = [];
  if (row.proposed_block) said.push(`Proposed in block ${count(row.proposed_block)}.`);
  if (row.challenges) said.push(`Challenges so far: ${count(row.challenges)}.`);
  if (row.voids) said.push(`Rounds that ended without a root: ${count(row.voids)}.`);
  return said.join(" ");
}
