/** Every way to connect and to log in, against real servers; credentials that are renewed while one is connected. */
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { type NatsConnection, nkeys } from "@nats-io/transport-node";
import { isTidemarkError } from "../../runtime/errors.ts";
import { connectNats, type NatsAccess } from "../../runtime/nats-connect.ts";
import { readNatsUrl } from "../../runtime/nats-url.ts";
import { readConfig } from "../../runtime/node/config.ts";
import { startConfiguredNats } from "../support/configured-nats.ts";
import { TestOperator } from "../support/nats-jwt.ts";

const folder = mkdtempSync(join(tmpdir(), "tidemark-login-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const TLS = new URL("../support/tls/", import.meta.url).pathname;

function put(name: string, content: string): string {
  const file = join(folder, name);
  writeFileSync(`${file}.half`, content, { mode: 0o600 });
  renameSync(`${file}.half`, file);
  return file;
}

/** Connects and asks something; gives who one is there. */
async function whoami(access: NatsAccess, timeout = 10_000): Promise<unknown> {
  const nc = await connectNats(access, "test", { timeout });
  try {
    return await userOf(nc);
  } finally {
    await nc.close();
  }
}

async function userOf(nc: NatsConnection): Promise<unknown> {
  return (await nc.request("$SYS.REQ.USER.INFO")).json<{ data: { user: string } }>().data.user;
}

function refused(...secrets: readonly string[]): (error: unknown) => boolean {
  return (error) => {
    assert(isTidemarkError(error, "NATS_UNREACHABLE"), String(error));
    for (const secret of secrets) assert(!error.message.includes(secret));
    return true;
  };
}

suite("an address", () => {
  test("has its login taken out, percent-decoded", () => {
    assert.deepEqual(readNatsUrl("nats://runtime:p%40ss:word@host:4222"), {
      servers: ["nats://host:4222"],
      user: "runtime",
      pass: "p@ss:word",
    });
    assert.deepEqual(readNatsUrl("tls://solo@host:4222"), { servers: ["tls://host:4222"], user: "solo", pass: "" });
    assert.deepEqual(readNatsUrl("host:4222"), { servers: ["host:4222"] });
  });

  test("names several servers, with one login for all", () => {
    assert.deepEqual(readNatsUrl("nats://u:p@a:1, nats://b:2,c:3"), { servers: ["nats://a:1", "nats://b:2", "c:3"], user: "u", pass: "p" });
    assert.throws(() => readNatsUrl("nats://u:p@a:1,nats://v:p@b:2"), TypeError);
    for (const wrong of ["", "nats://a:1,", "ws://a:1", "nats://a b", "http://a:1"])
      assert.throws(() => readNatsUrl(wrong), TypeError, wrong);
  });

  test("that is malformed is refused without the password in it", () => {
    assert.throws(
      () => readConfig({ TIDEMARK_NATS_URL: "nats://u:se-cret@a b" }),
      (error) => isTidemarkError(error, "CONFIG_INVALID") && !error.message.includes("se-cret"),
    );
  });
});

test("settings of a login that contradict each other are refused", () => {
  const url = "nats://a:1";
  for (const env of [
    { TIDEMARK_NATS_CA: "ca" },
    { TIDEMARK_NATS_URL: url, TIDEMARK_NATS_CERT: "c" },
    { TIDEMARK_NATS_URL: url, TIDEMARK_NATS_CREDS: "c", TIDEMARK_NATS_NKEY: "n" },
    { TIDEMARK_NATS_URL: "nats://u@a:1", TIDEMARK_NATS_NKEY: "n" },
  ])
    assert.throws(() => readConfig(env), { code: "CONFIG_INVALID" }, JSON.stringify(env));
});

test("a password lets in where it is right, and is told nowhere where it is wrong; of several servers the one that is there answers", async (t) => {
  const { host } = await startConfiguredNats(t, 'authorization { user: runtime, password: "se@cret" }');
  assert.equal(await whoami({ url: `nats://runtime:se%40cret@127.0.0.1:9,nats://${host}` }), "runtime");
  await assert.rejects(whoami({ url: `nats://runtime:wrong-one@${host}` }), refused("wrong-one"));
});

suite("TLS", () => {
  const config = `tls { cert_file: "${TLS}server.pem", key_file: "${TLS}server.key", ca_file: "${TLS}ca.pem", verify_and_map: true }
    authorization { users: [ { user: "CN=tidemark-test-client" } ] }`;
  const own = { certFile: `${TLS}client.pem`, keyFile: `${TLS}client.key` };

  test("lets in whom his certificate names, on a server whose own one is vouched for", async (t) => {
    const { host } = await startConfiguredNats(t, config);
    const url = `tls://${host}`;
    assert.equal(await whoami({ url, caFile: `${TLS}ca.pem`, ...own }), "CN=tidemark-test-client");
    // The server hangs up on one without a certificate, and nats.js waits.
    await assert.rejects(whoami({ url, caFile: `${TLS}ca.pem` }, 1_000), refused());
    await assert.rejects(whoami({ url, ...own }), refused());
  });

  test("that was asked for is never left out", async (t) => {
    const { host } = await startConfiguredNats(t, "");
    await assert.rejects(whoami({ url: `tls://${host}` }), refused());
    await assert.rejects(whoami({ url: host, caFile: `${TLS}ca.pem` }), refused());
  });
});

suite("a file of credentials", { timeout: 60_000 }, () => {
  const reconnected = async (nc: NatsConnection): Promise<void> => {
    for await (const { type } of nc.status()) if (type === "reconnect") return;
    assert.fail("the connection was given up");
  };

  test("with an NKey is read again when the server no longer knows the one before", async (t) => {
    const [first, second] = [nkeys.createUser(), nkeys.createUser()];
    const config = (user: typeof first): string => `authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`;
    const seedOf = (user: typeof first): string => Buffer.from(user.getSeed()).toString();
    const server = await startConfiguredNats(t, config(first));
    const nkeyFile = put("nkey", `# of the runtime\n${seedOf(first)}\n`);
    const nc = await connectNats({ url: server.host, nkeyFile }, "test");
    t.after(() => nc.close());
    assert.equal(await userOf(nc), first.getPublicKey());
    const back = reconnected(nc);
    // Until the new one is there it is refused, and goes on trying.
    await server.reload(config(second));
    put("nkey", seedOf(second));
    await back;
    assert.equal(await userOf(nc), second.getPublicKey());
  });

  test("with a JWT is read again when that has expired; half a file changes nothing", async (t) => {
    const operator = new TestOperator();
    const { host } = await startConfiguredNats(t, operator.config);
    const credsFile = put("creds", operator.creds("first", Math.floor(Date.now() / 1000) + 3));
    const nc = await connectNats({ url: host, credsFile }, "test");
    t.after(() => nc.close());
    const before = await userOf(nc);
    const back = reconnected(nc);
    put("creds", "-----BEGIN NATS USER JWT-----\n");
    for await (const { type } of nc.status()) if (type === "disconnect") break;
    put("creds", operator.creds("second"));
    await back;
    assert.notEqual(await userOf(nc), before);
  });

  test("that is none is refused by its name at the start", async () => {
    const credsFile = put("none", "hello");
    await assert.rejects(connectNats({ url: "127.0.0.1:9", credsFile }, "test"), { code: "CONFIG_INVALID" });
    await assert.rejects(connectNats({ url: "127.0.0.1:9", nkeyFile: join(folder, "absent") }, "test"), { code: "CONFIG_INVALID" });
  });
});
