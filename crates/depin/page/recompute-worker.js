// Runs the auditor away from the page, which stays usable; stopping it is ending this worker.
import { run } from "./recompute-wasi.js";

/**
 * One of several parts of a bundle's signatures to check, or a bundle to audit, with what the parts found.
 *
 * @typedef {{bundle: ArrayBuffer, part: string, program: WebAssembly.Module}} Part
 * @typedef {{bundle: ArrayBuffer, before: ArrayBuffer | null, device: string | null, signatures: ArrayBuffer[], program: WebAssembly.Module}} Whole
 */

self.addEventListener("message", async (/** @type {MessageEvent<Part | Whole>} */ event) => {
  try {
    const job = event.data;
    if ("part" in job) {
      const { output, memory } = await program(job.program, ["--part", job.part], [job.bundle]);
      postMessage({ signatures: output.buffer, memory }, { transfer: [output.buffer] });
      return;
    }
    const { bundle, before, device, signatures } = job;
    const args = ["--signatures", String(signatures.reduce((sum, part) => sum + part.byteLength, 0))];
    if (before) args.push("--previous", String(before.byteLength));
    if (device) args.push("--device", device);
    const { output, memory } = await program(job.program, args, [...signatures, ...(before ? [before] : []), bundle]);
    postMessage({ answer: JSON.parse(new TextDecoder().decode(output)), memory });
  } catch (error) {
    const trap = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
    const text = error instanceof Error ? error.message : String(error);
    postMessage({ failed: trap ? `${text}: most likely this bundle needs more memory than a browser gives; use \`depin audit\`` : text });
  }
});

/**
 * @param {WebAssembly.Module} module
 * @param {string[]} args
 * @param {ArrayBuffer[]} input
 */
async function program(module, args, input) {
  const size = input.reduce((sum, part) => sum + part.byteLength, 0);
  const ended = await run(module, [...args, "--size", String(size)], input.map((part) => new Uint8Array(part)));
  if (ended.code > 1) throw new Error(ended.errors.trim() || `the program ended with ${ended.code}`);
  return ended;
}
