// Why a verdict came out as it did: every check in words, and what its owner can do about it. What failed stands first.
import { dated, plain } from "../format.js";
import { html } from "../lib.js";
import { badge } from "./badge.js";

/** @typedef {{check: string, result: string, reason: string, side: string, observed: string, limit: string, words: string, next?: string}} Finding */

/** @type {Record<string, number>} */
const ORDER = { fail: 0, warning: 1, skipped: 2, pass: 3 };

/** @param {Finding[]} findings */
function sorted(findings) {
  return [...findings].sort((a, b) => (ORDER[a.result] ?? 1) - (ORDER[b.result] ?? 1));
}

/** @param {Finding[]} findings */
export function list(findings) {
  return html`<ol class="findings">${sorted(findings).map(
    (one) => html`<li class=${one.result}>
      <p class="check">${badge(one.result)} <span class="mono">${plain(one.check)}</span></p>
      <p>${dated(plain(one.words))}</p>
      ${one.next ? html`<p class="next"><strong>Next step</strong> ${plain(one.next)}</p>` : null}
    </li>`,
  )}</ol>`;
}

/**
 * The one thing that decided, in few words.
 * @param {Finding[]} findings
 */
export function gist(findings) {
  const worst = sorted(findings)[0];
  if (!worst || worst.result === "pass") return html`<span class="quiet">every check passed</span>`;
  return html`<span title=${plain(worst.words)}>${plain(worst.reason).replaceAll("-", " ")}</span>`;
}
