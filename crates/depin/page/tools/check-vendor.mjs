// The vendored files are what npm has: their hashes are the manifest's, and those of the packages installed beside this file.
import { createHash } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";

const page = new URL("..", import.meta.url);
/** @param {URL} file */
const sha256 = async (file) => createHash("sha256").update(await readFile(file)).digest("hex");
/** @type {string[]} */
const wrong = [];

const lines = (await readFile(new URL("vendor/MANIFEST", page), "utf8")).split("\n").filter((line) => line && !line.startsWith("#"));
const listed = new Set();
for (const line of lines) {
  const [file = "", name = "", version = "", path = "", hash = ""] = line.split(" ");
  listed.add(file);
  const here = await sha256(new URL(`vendor/${file}`, page));
  if (here !== hash) wrong.push(`vendor/${file} is ${here}, the manifest says ${hash}`);
  const installed = JSON.parse(await readFile(new URL(`node_modules/${name}/package.json`, page), "utf8")).version;
  if (installed !== version) wrong.push(`${name} ${installed} is installed, the manifest says ${version}; run npm ci`);
  const there = await sha256(new URL(`node_modules/${name}/${path}`, page));
  if (there !== hash) wrong.push(`${path} of ${name} ${installed} is ${there}, the manifest says ${hash}`);
}
for (const file of await readdir(new URL("vendor/", page))) {
  if (file.endsWith(".mjs") && !listed.has(file)) wrong.push(`vendor/${file} is not in the manifest`);
}
for (const line of wrong) console.error(line);
console.log(`${listed.size} vendored files ${wrong.length ? "differ from npm" : "are npm's"}`);
process.exitCode = wrong.length ? 1 : 0;
