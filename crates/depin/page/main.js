// The page: one drawing for all of it, made again when anything it read has changed.
import { begin, end } from "./api.js";
import { effect, html, render } from "./lib.js";
import { follow, start } from "./live.js";
import { href, listen, route } from "./router.js";
import { shell } from "./parts/shell.js";
import { failed } from "./parts/state.js";
import { customer, customers } from "./views/customers.js";
import { demand } from "./views/demand.js";
import { epoch, epochs } from "./views/epochs.js";
import { health } from "./views/health.js";
import { node } from "./views/node.js";
import { nodes } from "./views/nodes.js";
import { overview } from "./views/overview.js";
import { owner, owners } from "./views/owners.js";

/** @type {Record<import("./router.js").View, [string, () => unknown, (id: string) => unknown]>} */
const VIEWS = {
  overview: ["Overview", overview, lost],
  nodes: ["Nodes", nodes, node],
  owners: ["Owners", owners, owner],
  epochs: ["Epochs", epochs, epoch],
  customers: ["Customers", customers, customer],
  demand: ["Demand", demand, lost],
  health: ["Index health", health, lost],
  lost: ["Not found", lost, lost],
};

function lost() {
  return html`<h1 tabindex="-1">Nothing is here</h1><p>This address leads to no view. <a href=${href("overview")}>Go to the overview</a>.</p>`;
}

function draw() {
  const { view, id } = route.value;
  const [title, list, one] = VIEWS[view];
  const words = id === null ? `${title} · depin` : `${id} · ${title} · depin`;
  if (document.title !== words) document.title = words;
  return shell(html`<div class=${`view ${view}`} key=${`${view}/${id ?? ""}`}>${guarded(title, () => (id === null ? list() : one(id)))}</div>`);
}

/**
 * A view whose answer has a shape it does not know must not take the rest of the page with it.
 * @param {string} title
 * @param {() => unknown} make
 */
function guarded(title, make) {
  try {
    return make();
  } catch (error) {
    console.error(error);
    const next = "Reload the page: it may be older than the node. If it stays, report it with the browser's console.";
    return html`<h1 tabindex="-1">${title}</h1>${failed({ code: "view", message: `This view could not make sense of the node's answer (${String(error)})`, next })}`;
  }
}

const root = document.getElementById("root");
if (root) {
  root.replaceChildren();
  listen();
  // What opened over other text can be closed again without moving on.
  addEventListener("keydown", (event) => {
    const mark = event.key === "Escape" ? document.activeElement?.closest(".marked") : null;
    mark?.classList.add("closed");
    mark?.addEventListener("focusout", () => mark.classList.remove("closed"), { once: true });
  });
  effect(() => {
    begin();
    render(draw(), root);
    end();
    follow();
  });
  start();
}
