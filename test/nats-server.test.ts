/** The child nats-server, held against the real program: mappings, slots, adoption, ends. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { slotOf, writeKey } from "../actors/model/key.ts";
import { isTidemarkError } from "../runtime/errors.ts";
import { findNatsServer } from "../runtime/node/nats-binary.ts";
import { isAtLeast } from "../runtime/node/nats-config.ts";
import { type NatsServer, startNatsServer } from "../runtime/node/nats-server.ts";
import { startTestNats } from "./support/nats.ts";

const { binary } = findNatsServer();

suite("mappings", async () => {
  const nats = await startTestNats({ after }, { logs: ["meter"] });

  test("a plain publish lands on the slot that the client computes, for thousands of keys with escapes", async () => {
    const connection = await connect({ servers: nats.url });
    const tokens = new Set<string>();
    for (let n = 0; tokens.size < 5000; n++) tokens.add(writeKey(randomKey(n))!);
    const got = new Map<string, string>();
    connection.subscribe("meter.*.e.*", { callback: (_, message) => void got.set(message.subject.split(".")[3]!, message.subject) });
    for (const token of tokens) connection.publish(`meter.${token}`);
    await connection.flush();
    assert.equal(got.size, tokens.size);
    for (const token of tokens) assert.equal(got.get(token), `meter.${slotOf(token)}.e.${token}`);
    await connection.close();
  });

  test("a log added later is mapped at once for a connection that was there before, and streams go on", async () => {
    const connection = await connect({ servers: nats.url });
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: "cases-0", subjects: ["cases.*.>"], max_bytes: 2 ** 40, discard: "new" });
    const subject = `cases.${slotOf("k1")}.e.k1`;
    await nats.addLogs(["cases"]);
    const ack = await jetstream(connection).publish("cases.k1", "1");
    assert.deepEqual([ack.stream, ack.seq], ["cases-0", 1]);
    assert.equal((await manager.streams.getMessage("cases-0", { seq: 1 }))?.subject, subject);
    await Promise.all([nats.addLogs(["clicks"]), nats.addLogs(["logins"])]);
    for (const log of ["meter", "cases", "clicks", "logins"])
      assert.equal(await mappedSubject(nats.url, log), `${log}.${slotOf("k2")}.e.k2`);
    await connection.close();
  });

  test("after a kill and a restart the port, the streams and the mappings are the same", async () => {
    await nats.kill();
    await nats.restart();
    const connection = await connect({ servers: nats.url });
    const { state } = await (await jetstreamManager(connection)).streams.info("cases-0");
    assert.equal(state.last_seq, 2);
    await connection.close();
    assert.equal(await mappedSubject(nats.url, "clicks"), `clicks.${slotOf("k2")}.e.k2`);
  });
});

test("a server whose starter was killed is adopted, with the logs it lacks, and ended by the adopter", async (t) => {
  const storeDir = freshDir(t);
  const first = await startElsewhereAndDie(t, storeDir, "meter");
  const second = await start(t, { storeDir, logs: ["cases"] });
  assert.deepEqual([second.adopted, second.pid, second.url], [true, first.pid, first.url]);
  for (const log of ["meter", "cases"]) assert.equal(await mappedSubject(second.url, log), `${log}.${slotOf("k2")}.e.k2`);
  await second.stop();
  assert.equal(second.alive(), false);
  assert.throws(() => process.kill(first.pid, 0), { code: "ESRCH" });
});

test("the server of a test file whose process was killed is ended, and its store deleted", async () => {
  const { storeDir, url } = await inProcessThatIsKilled<{ storeDir: string; url: string }>(`
    const { startTestNats } = await import(${JSON.stringify(new URL("support/nats.ts", import.meta.url))});
    const { storeDir, url } = await startTestNats({ after() {} });
    console.log(JSON.stringify({ storeDir, url }));`);
  while (existsSync(storeDir)) await setImmediate();
  await assert.rejects(connect({ servers: url, reconnect: false }));
});

test("two starts on one store give one server", async (t) => {
  const storeDir = freshDir(t);
  const first = await start(t, { storeDir });
  const second = await start(t, { storeDir });
  assert.deepEqual([first.adopted, second.adopted, second.pid], [false, true, first.pid]);
});

test("a pid file that names someone else's process is ignored, and that process is left alone", async (t) => {
  const storeDir = freshDir(t);
  writeFileSync(join(storeDir, "nats-server.pid"), String(process.pid));
  writeFileSync(join(storeDir, `nats-server_${process.pid}.ports`), '{"nats":["nats://127.0.0.1:1"]}');
  const server = await start(t, { storeDir });
  assert.equal(server.adopted, false);
  await server.stop();
});

test("a pid file that is no number is ignored", async (t) => {
  const storeDir = freshDir(t);
  writeFileSync(join(storeDir, "nats-server.pid"), "-1");
  assert.equal((await start(t, { storeDir })).adopted, false);
});

test("a fixed port that is taken is PORT_TAKEN, and nothing is left running", async (t) => {
  const storeDir = freshDir(t);
  const holder = createServer().listen(0, "127.0.0.1");
  t.after(() => holder.close());
  await once(holder, "listening");
  const { port } = holder.address() as { port: number };
  await assert.rejects(
    startNatsServer({ binary, storeDir, port }),
    (error) => isTidemarkError(error, "PORT_TAKEN") && error.detail.includes(String(port)),
  );
  assert.equal((await start(t, { storeDir })).adopted, false);
});

test("a server that cannot start says what its log says", async (t) => {
  const storeDir = freshDir(t);
  writeFileSync(join(storeDir, "jetstream"), "a file where a folder should be");
  await assert.rejects(
    startNatsServer({ binary, storeDir }),
    (error) => isTidemarkError(error, "NATS_UNREACHABLE") && error.detail.includes("storage directory is not a directory"),
  );
});

test("a program that is not there is NATS_UNREACHABLE", async (t) => {
  await assert.rejects(startNatsServer({ binary: "/nonexistent/nats-server", storeDir: freshDir(t) }), (error) =>
    isTidemarkError(error, "NATS_UNREACHABLE"),
  );
});

test("a program that hangs is given up after the bound and ended", async (t) => {
  const storeDir = freshDir(t);
  const hanging = join(storeDir, "nats-server");
  writeFileSync(hanging, "#!/bin/sh\nexec sleep 600\n");
  chmodSync(hanging, 0o700);
  await assert.rejects(
    startNatsServer({ binary: hanging, storeDir, readyTimeoutMs: 300 }),
    (error) => isTidemarkError(error, "NATS_UNREACHABLE") && error.detail.includes("has not opened its port"),
  );
});

test("the configuration is readable by its owner only, and only this machine can connect", async (t) => {
  const storeDir = freshDir(t);
  const server = await start(t, { storeDir, syncAlways: true });
  const file = join(storeDir, "nats-server.conf");
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const config = JSON.parse(readFileSync(file, "utf8"));
  assert.deepEqual([config.host, config.jetstream.sync_interval], ["127.0.0.1", "always"]);
  assert.equal(new URL(server.url).hostname, "127.0.0.1");
  assert.ok(isAtLeast(server.version, "2.12.0"));
});

test("versions are compared as numbers", () => {
  assert.ok(isAtLeast("2.12.0", "2.12.0"));
  assert.ok(isAtLeast("v2.100.0-RC.1", "2.12.0"));
  assert.ok(!isAtLeast("2.9.25", "2.12.0"));
  assert.ok(isAtLeast("3.0.0", "2.12.9"));
  assert.ok(!isAtLeast("unknown", "2.12.0"));
});

function freshDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-nats-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function start(t: TestContext, options: { storeDir: string; logs?: string[]; syncAlways?: boolean }): Promise<NatsServer> {
  const server = await startNatsServer({ binary, ...options });
  t.after(() => server.stop("SIGKILL"));
  return server;
}

/** Another process starts the server and is killed: nobody holds its handle any more. */
async function startElsewhereAndDie(t: TestContext, storeDir: string, log: string): Promise<{ pid: number; url: string }> {
  const module = new URL("../runtime/node/nats-server.ts", import.meta.url);
  const first = await inProcessThatIsKilled<{ pid: number; url: string }>(`
    const { startNatsServer } = await import(${JSON.stringify(module)});
    const { pid, url } = await startNatsServer(${JSON.stringify({ binary, storeDir, logs: [log] })});
    console.log(JSON.stringify({ pid, url }));`);
  t.after(() => {
    try {
      process.kill(first.pid, "SIGKILL");
    } catch {
      // Ended by the test, as it should be.
    }
  });
  return first;
}

/** Runs `script` until it has printed its one line of JSON, then kills it. */
async function inProcessThatIsKilled<T>(script: string): Promise<T> {
  const code = `${script}\nsetInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "close");
  return JSON.parse(String(line)) as T;
}

async function mappedSubject(url: string, log: string): Promise<string | undefined> {
  const connection = await connect({ servers: url });
  let subject: string | undefined;
  connection.subscribe(`${log}.>`, {
    callback: (_, message) => {
      subject = message.subject;
    },
  });
  connection.publish(`${log}.k2`);
  await connection.flush();
  await connection.close();
  return subject;
}

/** Short and long ones, plain ones, and ones that need escapes. */
function randomKey(n: number): string {
  const alphabets = ["abcXYZ019-_:@+=,~", "a.b*c> d%/é", "日本🙂\u0000\n"];
  const alphabet = [...alphabets[n % alphabets.length]!];
  const length = 1 + (n % 14);
  return Array.from({ length }, () => alphabet[Math.floor(Math.random() * alphabet.length)]!).join("");
}
