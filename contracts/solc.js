#!/usr/bin/env node
// solc from npm is JavaScript; forge wants an executable. This is the part of solc's command line that forge uses.
"use strict";
const solc = require("solc");

if (process.argv.includes("--version")) {
  // forge parses the platform out of the version and knows only native ones.
  const version = solc.version().replace("Emscripten.clang", "Linux.g++");
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
} else {
  const input = require("fs").readFileSync(0, "utf8");
  process.stdout.write(solc.compile(input));
}
