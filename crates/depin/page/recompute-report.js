// What came out, as elements. Text is only ever a text node.
import { count, plain } from "./format.js";

/** @typedef {{check: string, result: string, reason: string, observed: string, limit: string}} Finding */
/** @typedef {{device: string, record: null | {owner: string}, earned: string, verdicts: {outcome: string, verifier: string, findings: Finding[]}[], lines: {deal: string, customer: string, account: string, units: unknown, revenue: string, emission: string}[]}} Device */
/** @typedef {{kind: "bundle" | "excerpt", bytes: number, epoch: number | null, digest: string | null, root: string | null, previous: string | null, journal: null | {size: number, root: string}, network: null | {id: string, chain_id: number, registry: string, distributor: string, unit: string}, result: null | Record<string, unknown>, devices: number | null, verdicts: null | {accept: number, reject: number, inconclusive: number}, withheld: number | null, assumed: string | null, match: boolean, problem: null | {message: string, path: string | null, stated: string | null, recomputed: string | null}, device: Device | null, calls: unknown}} Answer */
/** @typedef {null | {failed: string} | import("./recompute-chain.js").Said} Chain */

/**
 * @param {{answer: Answer, ms: number, memory: number}} done
 * @param {Chain} chain
 * @returns {{title: string, tone: "good" | "bad" | "warn", body: Node[]}}
 */
export function report({ answer, ms, memory }, chain) {
  const epoch = answer.epoch === null ? "" : ` of epoch ${answer.epoch}`;
  const asked = chain !== null && !("failed" in chain);
  const differs = asked && chain.differs;
  const what = answer.kind === "excerpt" ? `excerpt${epoch}` : `bundle${epoch}`;
  const body = [];
  let title;
  /** @type {"good" | "bad" | "warn"} */
  let tone = "good";
  if (!answer.match) {
    tone = "bad";
    title = answer.problem ? `Mismatch: the ${what} does not follow from itself` : `Withheld: ${plain(answer.withheld)} entries of the ${what} cannot be seen`;
  } else if (differs) {
    tone = "bad";
    title = `Mismatch: the ${what} follows from itself, and this chain has another`;
  } else if (asked && chain.final) {
    title = `Match: the ${what} follows from itself, and the chain has the same`;
  } else {
    tone = chain === null ? "good" : "warn";
    title = `Match: the ${what} follows from itself; ${chain === null ? "no chain was asked" : "the chain does not confirm it as final"}`;
  }
  // What differs stands first.
  if (answer.problem) body.push(problem(answer.problem));
  if (chain !== null) body.push(...said(chain));
  if (answer.digest !== null) body.push(summary(answer));
  if (answer.device) body.push(...device(answer.device));
  const seconds = `${Math.floor(ms / 1000)}.${String(Math.floor(ms) % 1000).padStart(3, "0")} s`;
  body.push(el("p", { class: "quiet", id: "took" }, `Recomputed in ${seconds} from ${count(answer.bytes)} bytes, with ${count(Math.floor(memory / 2 ** 20))} MiB of memory.`));
  return { title, tone, body };
}

/** @param {NonNullable<Answer["problem"]>} found */
function problem(found) {
  if (found.path === null) return el("p", { class: "notice bad", id: "problem" }, plain(found.message));
  return el("div", { class: "notice bad", id: "problem" },
    el("p", {}, el("strong", {}, "The first thing that differs: "), el("code", {}, plain(found.path) || "the bundle")),
    el("dl", {}, el("dt", {}, "The bundle says"), el("dd", { class: "mono" }, plain(found.stated)), el("dt", {}, "Recomputed"), el("dd", { class: "mono" }, plain(found.recomputed))),
    el("p", {}, "Keep the file: whoever reads it comes to the same result."));
}

/** @param {NonNullable<Chain>} chain */
function said(chain) {
  if ("failed" in chain) return [el("p", { class: "notice warn", id: "chain" }, `The chain could not be asked: ${plain(chain.failed)}. A browser asks only what allows this page's origin (CORS).`)];
  const note = el("p", { class: chain.problem ? "notice bad" : "notice", id: "chain" },
    chain.problem ? `${plain(chain.problem)}. ` : "", `The epoch is ${chain.status} on chain, as of block ${count(chain.block)}${chain.final ? "" : ": this can still change"}.`);
  if (chain.rows.length === 0) return [note];
  const rows = chain.rows.map((row) => ({ head: row.what, cells: [row.ours ?? "an excerpt cannot tell", row.chain ?? "nothing yet", row.same === null ? "not compared" : row.same ? "same" : "differs"], tone: row.same === false ? "bad" : "" }));
  return [note, table("Recomputed and on chain", ["", "Recomputed here", "On chain", ""], rows)];
}

/** @param {Answer} answer */
function summary(answer) {
  const pay = answer.result ?? {};
  const verdicts = answer.verdicts;
  /** @type {[string, unknown][]} */
  const rows = [
    ["Bundle digest", answer.digest], ["Claim root", answer.root], ["Journal root", answer.journal?.root], ["Journal size", count(answer.journal?.size)],
    ["Digest of the bundle before", answer.previous ?? "none: the first epoch"], ["Devices", count(answer.devices)],
    ["Verdicts", verdicts ? `${count(verdicts.accept)} accepted, ${count(verdicts.reject)} rejected, ${count(verdicts.inconclusive)} inconclusive` : "see below"],
    ["Paid, in base units", count(pay["paid"])], ["Of it minted", count(pay["minted"])], ["Of it revenue", count(pay["revenue"])], ["Burned", count(pay["burned"])],
    ["Left by rounding", count(pay["dust"])], ["Owners paid", count(pay["claims"])],
    ["Chain and distributor", answer.network ? `${answer.network.chain_id}, ${answer.network.distributor}` : ""],
  ];
  const caption = answer.kind === "excerpt" ? "What the excerpt says of the epoch; only the device was recomputed" : "What was recomputed";
  return table(caption, ["", ""], rows.map(([head, cell]) => ({ head, cells: [plain(cell)], tone: "" })));
}

/** @param {Device} found */
function device(found) {
  const parts = [el("h3", {}, "The device"), el("p", { class: "mono wrap" }, plain(found.device)),
    el("p", {}, `It earned ${count(found.earned)} base units of the token for `, el("span", { class: "mono wrap" }, plain(found.lines[0]?.account ?? found.record?.owner ?? "nobody: it is not registered")), ".")];
  for (const verdict of found.verdicts) {
    const order = (/** @type {Finding} */ one) => (one.result.toLowerCase() === "fail" ? 0 : 1);
    const findings = [...verdict.findings].sort((a, b) => order(a) - order(b));
    const rows = findings.map((one) => ({ head: one.check, cells: [one.result, one.reason, one.observed, one.limit], tone: order(one) === 0 ? "bad" : "" }));
    parts.push(table(`${plain(verdict.outcome)}, said ${plain(verdict.verifier)}`, ["Check", "Result", "Reason", "Seen", "Expected"], rows));
  }
  if (found.lines.length > 0) {
    const rows = found.lines.map((line) => ({ head: line.deal, cells: [line.customer, quantity(line.units), count(line.revenue), count(line.emission)], tone: "" }));
    parts.push(table("What its deals came to", ["Deal", "Customer", "Units", "Revenue", "Emission"], rows));
  }
  return parts;
}

/** @param {unknown} units */
function quantity(units) {
  return units !== null && typeof units === "object" && "quantity" in units ? count(units.quantity) : count(units);
}

/**
 * @param {string} caption
 * @param {string[]} heads
 * @param {{head: string, cells: string[], tone: string}[]} rows
 */
function table(caption, heads, rows) {
  const body = rows.map(({ head, cells, tone }) => el("tr", tone ? { class: tone } : {}, el("th", { scope: "row" }, plain(head)), ...cells.map((cell) => el("td", {}, plain(cell)))));
  const first = heads.some((text) => text !== "") ? [el("thead", {}, el("tr", {}, ...heads.map((text) => (text ? el("th", { scope: "col" }, text) : el("td", {})))))] : [];
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, el("table", {}, el("caption", {}, caption), ...first, el("tbody", {}, ...body)));
}

/**
 * @param {string} name
 * @param {Record<string, string>} attributes
 * @param {(Node | string)[]} children
 */
function el(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
