// Owns: a real authorization server (oidc-provider) on loopback for tests: one client, any login, short tokens. Must never know: who logs in.
//
// node oidc.mjs MODULES PORT TTL: tokens live TTL seconds. `POST /control?ttl=8` gives tokens another life, `GET /control` counts what
// the address for tokens was asked.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, port, first] = process.argv.slice(2);
const find = createRequire(`${modules}/`);
const { default: Provider } = await import(pathToFileURL(find.resolve("oidc-provider")));

let ttl = Number(first);
let down = false;
let trouble;
const asked = {};
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "mingle",
      application_type: "native",
      token_endpoint_auth_method: "none",
      redirect_uris: ["http://127.0.0.1/"],
      grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
      response_types: ["code"],
    },
    {
      client_id: "mingle-secret",
      client_secret: "a secret: with/odd+characters",
      application_type: "native",
      redirect_uris: ["http://127.0.0.1/"],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
    },
    {
      client_id: "judge",
      client_secret: "judge",
      redirect_uris: ["https://judge.example.org/"],
      introspection_endpoint_auth_method: "client_secret_basic",
    },
  ],
  pkce: { methods: ["S256"], required: () => true },
  scopes: ["openid", "offline_access", "notes"],
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    userinfo: { enabled: true },
  },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  ttl: { AccessToken: () => ttl, IdToken: 3600, RefreshToken: 86400, DeviceCode: 600, Grant: 86400, Session: 86400, Interaction: 3600 },
  rotateRefreshToken: true,
  cookies: { keys: ["a key of tests"] },
});
const count = (status) => (ctx) => {
  const name = `${ctx.oidc.params?.grant_type?.split(":").pop()} ${status}`;
  asked[name] = (asked[name] ?? 0) + 1;
};
provider.on("grant.success", count(200));
provider.on("grant.error", count(400));
provider.on("server_error", (_, error) => console.error(error));

const answer = provider.callback();

// The address for tokens is late by `trouble.lag` ms; with `status` it then says no, and with `echo` it repeats what it was sent.
function late(request, response) {
  const { lag = 0, status, headers = {}, echo } = trouble;
  asked["late"] = (asked["late"] ?? 0) + 1;
  if (!status) return void setTimeout(() => answer(request, response), lag);
  let form = "";
  request.on("data", (piece) => (form += piece));
  request.on("end", () =>
    setTimeout(() => {
      response.writeHead(status, { "content-type": "application/json", ...headers });
      const said = [form, ...new URLSearchParams(form).values(), request.headers.authorization].join(" ");
      response.end(JSON.stringify(echo ? { error: "invalid_grant", error_description: said } : {}));
    }, lag),
  );
}

createServer((request, response) => {
  const url = new URL(request.url, issuer);
  if (url.pathname === "/control") {
    if (url.searchParams.has("ttl")) ttl = Number(url.searchParams.get("ttl"));
    if (url.searchParams.has("down")) down = url.searchParams.get("down") === "true";
    if (url.searchParams.has("trouble")) trouble = JSON.parse(url.searchParams.get("trouble"));
    response.setHeader("content-type", "application/json");
    return response.end(JSON.stringify(asked));
  }
  if (down) {
    request.socket.destroy();
    return;
  }
  if (trouble && url.pathname === "/token") return late(request, response);
  answer(request, response);
}).listen(Number(port), "127.0.0.1");
