// What a part of the page says while it has nothing to show: it waits, something failed, or there is nothing; each with the next step.
import { refresh } from "../api.js";
import { plain, words } from "../format.js";
import { html } from "../lib.js";
import { href } from "../router.js";

/**
 * @template T
 * @typedef {import("../api.js").Answer<T>} Answer
 */

/**
 * The contents if there are any; else why not.
 * @template T
 * @param {Answer<T>} answer
 * @param {(data: T) => unknown} show
 */
export function shown(answer, show) {
  const { data, error, waiting } = answer;
  if (data !== null) return html`${error ? stale(error) : null}${show(data)}`;
  if (waiting || !error) return html`<div class="waiting" role="status"><span class="hidden">Reading from the node.</span><i></i><i></i><i></i></div>`;
  return failed(error);
}

/**
 * A view of one thing that the node cannot show: said once, not by each of its parts.
 * @param {string} title
 * @param {string} name
 * @param {import("../api.js").Failure} error
 * @param {import("../router.js").View} list where the things of its kind are
 */
export function absent(title, name, error, list) {
  return html`<div class="head"><h1 tabindex="-1">${title}</h1></div><p class="subject"><span class="mono break">${plain(name)}</span></p>${failed(error)}
    <p><a href=${href(list)}>See all ${words(list)}</a></p>`;
}

/** @param {import("../api.js").Failure} error */
export function failed(error) {
  const absent = error.code === "not-found";
  return html`<div class="notice bad" role="alert">
    <p><strong>${absent ? "Not there." : "This could not be read."}</strong> ${sentence(plain(error.message))}</p>
    ${error.next ? html`<p>Next: ${plain(error.next)}</p>` : null}
    <p><button type="button" class="plain" onClick=${() => refresh()}>Read again</button></p>
  </div>`;
}

/** @param {import("../api.js").Failure} error */
function stale(error) {
  return html`<p class="notice warn" role="status"><strong>Not up to date.</strong> ${sentence(plain(error.message))}
    What is shown is the last answer.</p>`;
}

/**
 * @param {unknown} what one sentence
 * @param {unknown} [next] what leads on
 */
export function empty(what, next = null) {
  return html`<div class="notice"><p>${what}</p>${next ? html`<p>${next}</p>` : null}</div>`;
}

/** @param {string} text */
function sentence(text) {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
