// Where in the page one is. Everything that decides what is shown stands in the address, so that a link shows the same to somebody else.
import { signal } from "./lib.js";

/** The views, as their paths begin. The node serves the page at each of them. */
export const VIEWS = /** @type {const} */ (["overview", "nodes", "owners", "epochs", "customers", "demand", "health"]);

/** @typedef {typeof VIEWS[number] | "lost"} View */
/** @typedef {{view: View, id: string | null, params: URLSearchParams}} Route */

/**
 * What an address names.
 * @param {string} path
 * @param {string} search
 * @returns {Route}
 */
export function parse(path, search) {
  const [first = "", second, ...rest] = path.split("/").slice(1);
  const params = new URLSearchParams(search);
  const name = first === "" ? "overview" : first;
  const view = VIEWS.find((one) => one === name);
  if (!view || rest.some(Boolean) || (view === "overview" && second)) return { view: "lost", id: null, params };
  let id = second || null;
  try {
    id = id && decodeURIComponent(id);
  } catch {
    return { view: "lost", id: null, params };
  }
  return { view, id, params };
}

/** @type {import("./vendor/signals-core.mjs").Signal<Route>} */
export const route = signal(typeof location === "undefined" ? parse("/", "") : parse(location.pathname, location.search));

/**
 * The address of a view. What is read (`at`) goes along; everything else is named.
 * @param {View} view
 * @param {string | null} [id]
 * @param {Record<string, string | number | null | undefined>} [params]
 */
export function href(view, id = null, params = {}) {
  const path = view === "overview" ? "/" : `/${view}${id === null ? "" : `/${encodeURIComponent(id).replaceAll("%3A", ":")}`}`;
  const query = new URLSearchParams();
  const at = "at" in params ? params["at"] : route.value.params.get("at");
  for (const [name, value] of Object.entries({ ...params, at })) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString().replaceAll("%3A", ":");
  return text ? `${path}?${text}` : path;
}

/**
 * The address of what is shown now, with some of its parameters changed; null takes one away.
 * @param {Record<string, string | number | null>} changes
 */
export function here(changes) {
  const { view, id, params } = route.value;
  return href(view, id, { ...Object.fromEntries(params), ...changes });
}

/**
 * The document that recomputes an epoch: a page of its own.
 * @param {{epoch?: number | null, device?: string | null}} of
 */
export function recompute(of) {
  const query = new URLSearchParams();
  if (typeof of.epoch === "number") query.set("epoch", String(of.epoch));
  if (of.device) query.set("device", of.device);
  const text = query.toString().replaceAll("%3A", ":");
  return text ? `/recompute?${text}` : "/recompute";
}

/**
 * Goes to an address of this page.
 * @param {string} address
 * @param {{replace?: boolean, focus?: boolean}} [how]
 */
export function go(address, { replace = false, focus = true } = {}) {
  const before = route.value;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  route.value = parse(location.pathname, location.search);
  if (!focus) return;
  // Another view begins at its heading; a filter or a page of the same view stays where it is.
  const moved = before.view !== route.value.view || before.id !== route.value.id;
  if (moved) arrive();
}

/** Puts reader and screen at the beginning of what is shown now. */
function arrive() {
  scrollTo(0, 0);
  focusHeading();
}

function focusHeading() {
  requestAnimationFrame(() => document.querySelector("h1")?.focus({ preventScroll: true }));
}

/** Takes over clicks on links to views. */
export function listen() {
  addEventListener("popstate", () => {
    const before = route.value;
    route.value = parse(location.pathname, location.search);
    // The browser restores where the page was; what was focused is gone with the view.
    if (before.view !== route.value.view || before.id !== route.value.id) focusHeading();
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.hash && link.pathname === location.pathname && link.search === location.search) return;
    if (parse(link.pathname, link.search).view === "lost") return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
