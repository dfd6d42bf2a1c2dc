// An agent with the MCP client that most agents use. argv: how ("http" or
// "stdio"), then the address of the enforcer or the relay's command. Each line of
// output is one JSON value that the test looks at.
import http from "node:http";
import { Readable } from "node:stream";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [how, where] = process.argv.slice(2);

// In a bottle the magic host has an address. Here it is looked up by hand, so that
// what goes over the wire is the same.
function lookedUp(url, init = {}) {
  return new Promise((resolve, reject) => {
    const [host, port] = where.split(":");
    const headers = { host: new URL(url).host, ...Object.fromEntries(new Headers(init.headers)) };
    const request = http.request({ host, port, path: new URL(url).pathname, method: init.method ?? "GET", headers, signal: init.signal });
    request.on("error", reject);
    request.on("response", (r) => {
      const empty = [202, 204].includes(r.statusCode);
      if (empty) r.resume();
      resolve(new Response(empty ? null : Readable.toWeb(r), { status: r.statusCode, headers: r.headers }));
    });
    request.end(init.body);
  });
}

const transport =
  how === "http"
    ? new StreamableHTTPClientTransport(new URL("http://_egress-proxy.local/mcp"), { fetch: lookedUp })
    : new StdioClientTransport({ command: where, env: process.env });
const client = new Client({ name: "agent", version: "1.0.0" });
await client.connect(transport);

const say = (value) => console.log(JSON.stringify(value));
say((await client.listTools()).tools.map((t) => t.name));

let progress = 0;
const call = async (name, args) => {
  const result = await client.callTool({ name, arguments: args }, undefined, { onprogress: () => progress++ });
  say({ text: result.content[0].text, failed: result.isError ?? false });
};
await call("list-egress-proxy-routes", {});
await call("egress-proxy-block", { host: "approve.example.com", path_allowlist: ["/a"], methods: ["GET"], reason: "docs" });
await call("pipelock-block", { rule: "github-pat", host: "deny.example.com", reason: "a sample" });
await call("capability-block", { area: "mounts", change: "mount /srv/models", reason: "weights" });
await call("egress-proxy-block", { host: "_egress-proxy.local", reason: "mine" });
await call("egress-proxy-block", { host: "a.example.com", reason: "x", approve: true });
try {
  await call("approve", { number: 1 });
} catch (e) {
  say({ text: e.message, failed: true });
}
say(progress > 0);
await client.close();
