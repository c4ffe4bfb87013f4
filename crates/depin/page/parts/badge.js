// Words with a colour. The word says it all; the colour helps.
import { plain, words } from "../format.js";
import { html } from "../lib.js";

/** @type {Record<string, string>} */
const TONE = {
  accept: "good", active: "good", final: "good", claimed: "good", live: "good", pass: "good", finalised: "good",
  reject: "bad", fail: "bad", degraded: "bad", stopped: "bad", voided: "bad", challenged: "bad", contested: "bad", offline: "bad",
  inconclusive: "warn", warning: "warn", unregistered: "warn", bound: "warn", suspended: "warn", proposed: "warn", backfill: "warn", polling: "warn", claimable: "warn", revived: "warn", undecided: "warn",
};

/** @type {Record<string, string>} */
const SAID = {
  accept: "accepted", reject: "rejected", pass: "passed", fail: "failed", warning: "warns", skipped: "not done",
};

/** @param {unknown} word */
export function badge(word) {
  const name = plain(word);
  if (!name) return html`<span class="quiet">–</span>`;
  return html`<span class=${`badge ${TONE[name] ?? ""}`}>${SAID[name] ?? words(name)}</span>`;
}
