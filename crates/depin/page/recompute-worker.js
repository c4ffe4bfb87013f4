// Runs the auditor's program away from the page, which stays usable; stopping it is ending this worker.
import { run } from "./recompute-wasi.js";

/**
 * What to run: the program's arguments, and its input in parts.
 *
 * @typedef {{program: WebAssembly.Module, args: string[], input: ArrayBuffer[]}} Job
 */

self.addEventListener("message", async (/** @type {MessageEvent<Job>} */ event) => {
  const { program, args, input } = event.data;
  try {
    const { code, output, errors, memory } = await run(program, args, input.map((part) => new Uint8Array(part)));
    if (code > 1) throw new Error(errors.trim() || `the program ended with ${code}`);
    postMessage({ output: output.buffer, memory }, { transfer: [output.buffer] });
  } catch (error) {
    const trap = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
    const text = error instanceof Error ? error.message : String(error);
    postMessage({ failed: trap ? `${text}: most likely this bundle needs more memory than a browser gives; use \`depin audit\`` : text });
  }
});
