// The three vendored parts, joined: views are functions from values to these nodes; text in them is always a text node.
import htm from "./vendor/htm.mjs";
import { h, render } from "./vendor/preact.mjs";
export { effect, signal, batch } from "./vendor/signals-core.mjs";
export { render };

/** @typedef {import("./vendor/preact.mjs").ComponentChildren} Node */

/** @typedef {(strings: TemplateStringsArray, ...values: unknown[]) => import("./vendor/preact.mjs").VNode} Template */

/** A template of elements. Values become attributes and text, never markup. */
export const html = /** @type {Template} */ (/** @type {{bind: (make: unknown) => unknown}} */ (/** @type {unknown} */ (htm)).bind(h));
