// Keeps what is shown up to date: the node says which topics changed, and those are read again. Where it cannot say so, the page asks.
import { hear, refresh, tick, topics } from "./api.js";
import { signal } from "./lib.js";

/** How the page learns of changes. */
export const link = signal(/** @type {"connecting" | "live" | "polling"} */ ("connecting"));

/** Between two rounds of asking, in ms. */
const ROUND = 5_000;
/** Until a stream that was refused is tried again, in ms. */
const RETRY = 30_000;
/** The node takes no more topics in one stream. */
const MAX_TOPICS = 32;

/** @type {EventSource | null} */
let source = null;
let wanted = "";
/** @type {ReturnType<typeof setTimeout> | undefined} */
let retry;

/** Follows the topics of what is shown now; to be called after each drawing. */
export function follow() {
  const now = topics().slice(0, MAX_TOPICS).join(",");
  if (now === wanted) return;
  wanted = now;
  open();
}

function open() {
  clearTimeout(retry);
  source?.close();
  source = null;
  if (!wanted || document.hidden) return;
  const stream = new EventSource(`/api/v1/stream?topics=${encodeURIComponent(wanted)}`);
  source = stream;
  stream.addEventListener("open", () => {
    if (source !== stream) return;
    link.value = "live";
  });
  stream.addEventListener("changed", (event) => {
    try {
      const { topic, at } = JSON.parse(event.data);
      hear(at?.time);
      refresh(String(topic));
    } catch {
      refresh();
    }
  });
  stream.addEventListener("resync", () => refresh());
  stream.addEventListener("error", () => {
    if (source !== stream) return;
    link.value = "polling";
    // A dropped connection is opened again by the browser; one that was refused is not.
    if (stream.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY);
  });
}

/** Starts the clocks. */
export function start() {
  setInterval(() => {
    if (!document.hidden) tick.value += 1;
  }, 1_000);
  setInterval(() => {
    if (!document.hidden && link.value !== "live") refresh();
  }, ROUND);
  document.addEventListener("visibilitychange", () => {
    open();
    if (!document.hidden) refresh();
  });
}
