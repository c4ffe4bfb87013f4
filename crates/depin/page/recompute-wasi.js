// What a program for `wasm32-wasip1` may ask of its surroundings: arguments, standard input, standard output and error, and to end. Nothing else: no clock,
// no randomness, no file, no network. A program that imports more does not start.

const BAD_DESCRIPTOR = 8;
/** Most bytes that a program may write. */
const MOST_OUTPUT = 64 << 20;

class Ended extends Error {
  /** @param {number} code */
  constructor(code) {
    super(`ended with ${code}`);
    this.code = code;
  }
}

/**
 * Runs a program to its end.
 *
 * @param {WebAssembly.Module} module
 * @param {string[]} args The arguments, without the program's name.
 * @param {Uint8Array[]} input Standard input, in parts. Parts are let go once they were read.
 * @returns {Promise<{ code: number, output: Uint8Array<ArrayBuffer>, errors: string, memory: number }>} `memory` is the most it held, in bytes.
 */
export async function run(module, args, input) {
  const parts = [...input];
  /** @type {WebAssembly.Memory | undefined} */
  let memory;
  const bytes = () => {
    if (memory === undefined) throw new Error("the program has no memory yet");
    return new Uint8Array(memory.buffer);
  };
  const view = () => new DataView(bytes().buffer);
  const encoder = new TextEncoder();
  const given = ["recompute", ...args].map((text) => encoder.encode(`${text}\0`));
  /** @type {Uint8Array[][]} */
  const written = [[], []];
  let left = MOST_OUTPUT;

  /** @type {(list: number, count: number) => [number, number][]} */
  const vectors = (list, count) => {
    const at = view();
    return Array.from({ length: count }, (_, n) => [at.getUint32(list + 8 * n, true), at.getUint32(list + 8 * n + 4, true)]);
  };
  /** @type {(list: number, start: number, texts: Uint8Array[]) => number} */
  const lay = (list, start, texts) => {
    let next = start;
    texts.forEach((text, n) => {
      view().setUint32(list + 4 * n, next, true);
      bytes().set(text, next);
      next += text.length;
    });
    return 0;
  };
  /** @type {(count: number, size: number, texts: Uint8Array[]) => number} */
  const sizes = (count, size, texts) => {
    view().setUint32(count, texts.length, true);
    view().setUint32(size, texts.reduce((sum, text) => sum + text.length, 0), true);
    return 0;
  };
  const imports = {
    args_sizes_get: (/** @type {number} */ count, /** @type {number} */ size) => sizes(count, size, given),
    args_get: (/** @type {number} */ list, /** @type {number} */ start) => lay(list, start, given),
    environ_sizes_get: (/** @type {number} */ count, /** @type {number} */ size) => sizes(count, size, []),
    environ_get: () => 0,
    fd_read: (/** @type {number} */ fd, /** @type {number} */ list, /** @type {number} */ count, /** @type {number} */ done) => {
      if (fd !== 0) return BAD_DESCRIPTOR;
      let total = 0;
      for (const [start, length] of vectors(list, count)) {
        let filled = 0;
        while (filled < length && parts[0] !== undefined) {
          const part = parts[0].subarray(0, length - filled);
          bytes().set(part, start + filled);
          filled += part.length;
          if (part.length === parts[0].length) parts.shift();
          else parts[0] = parts[0].subarray(part.length);
        }
        total += filled;
      }
      view().setUint32(done, total, true);
      return 0;
    },
    fd_write: (/** @type {number} */ fd, /** @type {number} */ list, /** @type {number} */ count, /** @type {number} */ done) => {
      const stream = written[fd - 1];
      if (stream === undefined) return BAD_DESCRIPTOR;
      let total = 0;
      for (const [start, length] of vectors(list, count)) {
        left -= length;
        if (left < 0) throw new Error(`the program wrote more than ${MOST_OUTPUT} bytes`);
        stream.push(bytes().slice(start, start + length));
        total += length;
      }
      view().setUint32(done, total, true);
      return 0;
    },
    proc_exit: (/** @type {number} */ code) => {
      throw new Ended(code);
    },
  };
  const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: imports });
  const { memory: own, _start: start } = instance.exports;
  if (!(own instanceof WebAssembly.Memory) || typeof start !== "function") throw new Error("this is no program");
  memory = own;
  let code = 0;
  try {
    start();
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
    code = error.code;
  }
  const [output = [], errors = []] = written;
  return { code, output: joined(output), errors: new TextDecoder().decode(joined(errors)), memory: own.buffer.byteLength };
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
