// Prints the size of the first load; fails beyond its limit.
import { LIMIT, firstLoad } from "./size.mjs";

const sizes = await firstLoad("index.html");
let sum = 0;
for (const [name, size] of [...sizes].sort((a, b) => b[1] - a[1])) {
  sum += size;
  console.log(`${String(size).padStart(7)}  ${name}`);
}
console.log(`${String(sum).padStart(7)}  first load of ${sizes.size} files, gzip; at most ${LIMIT}`);
process.exitCode = sum > LIMIT ? 1 : 0;
