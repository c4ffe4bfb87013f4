// Stands between browser and node, and lies where a test says so.
import { createServer, request } from "node:http";

/**
 * Serves `target` under another port. `change(path, body)` may give other bytes for an answer; what it leaves alone streams through.
 */
export async function startProxy(target, change) {
  const upstream = new URL(target);
  const server = createServer((asked, answer) => {
    const headers = { ...asked.headers, host: upstream.host, "accept-encoding": "identity" };
    const onward = request({ host: upstream.hostname, port: upstream.port, path: asked.url, method: asked.method, headers }, (got) => {
      if ((got.headers["content-type"] ?? "").startsWith("text/event-stream")) {
        answer.writeHead(got.statusCode, got.headers);
        got.pipe(answer);
        return;
      }
      const parts = [];
      got.on("data", (part) => parts.push(part));
      got.on("end", () => {
        const body = Buffer.concat(parts);
        const changed = change(asked.url, body) ?? body;
        answer.writeHead(got.statusCode, { ...got.headers, "content-length": changed.length });
        answer.end(changed);
      });
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    asked.pipe(onward);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${server.address().port}`, stop };
}
