// Runs the auditor away from the page, which stays usable; stopping it is ending this worker.
import { run } from "./recompute-wasi.js";

/** @typedef {{bundle: ArrayBuffer, before: ArrayBuffer | null, device: string | null, program: WebAssembly.Module}} Job */

self.addEventListener("message", async (/** @type {MessageEvent<Job>} */ event) => {
  const { bundle, before, device, program } = event.data;
  try {
    const parts = [...(before ? [new Uint8Array(before)] : []), new Uint8Array(bundle)];
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    const args = ["--size", String(size)];
    if (before) args.push("--previous", String(before.byteLength));
    if (device) args.push("--device", device);
    const started = performance.now();
    const { code, output, errors, memory } = await run(program, args, parts);
    if (code > 1) throw new Error(errors.trim() || `the program ended with ${code}`);
    postMessage({ answer: JSON.parse(output), ms: performance.now() - started, memory });
  } catch (error) {
    const trap = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
    const text = error instanceof Error ? error.message : String(error);
    postMessage({ failed: trap ? `${text}: most likely this bundle needs more memory than a browser gives; use \`depin audit\`` : text });
  }
});
