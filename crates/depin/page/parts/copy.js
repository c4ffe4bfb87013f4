// Something to take along: a command, a name. Said aloud when it is copied.
import { html, signal } from "../lib.js";

/** What was just done, for the live region of the page. */
export const said = signal("");

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    said.value = "Copied.";
  } catch {
    said.value = "The browser does not let this page copy; select the text.";
  }
  setTimeout(() => {
    said.value = "";
  }, 4_000);
}

/**
 * A button that copies.
 * @param {string} text
 * @param {string} what named for those who cannot see beside what it stands
 */
export function copyable(text, what) {
  if (typeof navigator === "undefined" || !navigator.clipboard) return null;
  return html`<button type="button" class="copy" aria-label=${`Copy ${what}`} onClick=${() => void copy(text)}>Copy</button>`;
}

/**
 * A command line.
 * @param {string} line
 * @param {string} what
 */
export function command(line, what) {
  return html`<div class="cmd"><code tabindex="0" role="group" aria-label=${what}>${line}</code>${copyable(line, what)}</div>`;
}
