/** docker-compose.yml: by the schema of Compose, and by what it promises of Tidemark and NATS. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { durationMs } from "../../actors/model/time.ts";
import { TokenFile } from "../../api/http/tokens.ts";
import { readCompose } from "../../deploy/compose.ts";
import { systemClock } from "../../runtime/clock.ts";
import { ROLE_VARIABLES } from "../../runtime/node/cluster-config.ts";
import { readConfig } from "../../runtime/node/config.ts";
import { TIDEMARK_VERSION } from "../../runtime/own-package.ts";
import { ROOT } from "../support/doc-page.ts";
import { composeFile, makeSecrets, read, schemaCheck } from "./deployment-files.ts";

const folder = mkdtempSync(join(tmpdir(), "tidemark-deploy-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const variables = makeSecrets(folder);
const compose = composeFile(variables);
const services = Object.entries(compose.services);
const nats = services.filter(([, { image }]) => image.startsWith("nats:"));
const nodes = services.filter(([, { image }]) => image.startsWith("tidemark:"));

test("the file is one by the schema of Compose, which refuses what it does not know", () => {
  const check = schemaCheck("compose-spec.json");
  assert.ok(check(compose), JSON.stringify(check.errors));
  assert.ok(!check({ services: { one: { imagee: "nats" } } }));
  assert.ok(!check({ services: { one: { image: "nats", read_only: ["yes"] } } }));
});

test("secrets.sh makes what the file asks for, nothing twice, and tokens that are taken for what they are", () => {
  assert.throws(() => composeFile({}), /TIDEMARK_RUNTIME_PASSWORD:\?run deploy\/secrets\.sh\} is not set: run deploy\/secrets\.sh/);
  const files = ["api-tokens", "prometheus-token", "admin-token"].map((name) => join(folder, "deploy/secrets", name));
  const before = files.map((file) => readFileSync(file, "utf8"));
  assert.deepEqual(makeSecrets(folder), variables);
  assert.deepEqual(
    files.map((file) => readFileSync(file, "utf8")),
    before,
  );
  const [tokens, prometheus, admin] = files as [string, string, string];
  const file = new TokenFile(tokens, { clock: systemClock, notice: assert.fail });
  assert.deepEqual(file.find(readFileSync(prometheus, "utf8")), { name: "prometheus", role: "viewer" });
  assert.deepEqual(file.find(readFileSync(admin, "utf8")), { name: "admin", role: "admin" });
  for (const { file: path } of Object.values(compose.secrets)) assert.ok(existsSync(join(folder, path)), path);
});

test("variables are put in as Compose does it", () => {
  const text = "services: {one: {image: '$$-[B:-c]-[C:-d]-[D:?no]-[D]'}}".replaceAll("[", "${").replaceAll("]", "}");
  assert.equal(readCompose(text, { C: "", D: "e" }).services.one?.image, "$-c-d-e-e");
  assert.throws(() => readCompose(text, {}), /D:\?no\} is not set: no$/);
});

test("each image has the tag of a version, and that of Tidemark is this one", () => {
  for (const [name, { image }] of services) assert.match(image, /^[a-z/-]+:v?\d+\.\d+[\w.-]*$/, name);
  for (const [name, { image }] of nodes) assert.equal(image, `tidemark:${TIDEMARK_VERSION}`, name);
});

test("three servers take the configuration that nats-config prints, and a password for each role", () => {
  assert.deepEqual(
    nats.map(([name]) => name),
    ["nats-1", "nats-2", "nats-3"],
  );
  for (const [name, { command, environment, volumes }] of nats) {
    assert.deepEqual(command, ["-c", "/etc/nats/nats.conf", "--name", name, "-m", "8222"]);
    assert.deepEqual(volumes, ["./deploy/nats/nats.conf:/etc/nats/nats.conf:ro", `${name}:/var/lib/nats`]);
    for (const role of Object.values(ROLE_VARIABLES)) assert.equal(environment?.[role], variables[role]);
  }
  const cli = join(ROOT, "api/cli/tidemark.ts");
  const printed = execFileSync(process.execPath, [cli, "nats-config", "--cluster", "nats-1,nats-2,nats-3"], {
    encoding: "utf8",
    cwd: folder,
  });
  assert.equal(read("deploy/nats/nats.conf"), printed);
});

test("three nodes in three zones, each with settings that a node takes", () => {
  const configs = nodes.map(([, { environment }]) => readConfig(environment ?? {}));
  assert.deepEqual(
    configs.map(({ zone }) => zone),
    ["a", "b", "c"],
  );
  assert.deepEqual(
    configs.map(({ nodeId }) => nodeId),
    nodes.map(([name]) => name),
  );
  for (const { profile, natsReplicas, natsUrl, allowSingleReplica, allowLazySync } of configs) {
    assert.deepEqual([profile, natsReplicas, allowSingleReplica, allowLazySync], ["production", 3, false, false]);
    assert.equal(natsUrl, `nats://runtime:${variables.TIDEMARK_RUNTIME_PASSWORD}@${nats.map(([name]) => `${name}:4222`).join()}`);
  }
});

test("a node has the time to give its shards away, a root that it may not write, and a volume where it does", () => {
  for (const [name, service] of nodes) {
    const { drainMs, dataDir, apiTokens } = readConfig(service.environment ?? {});
    assert.ok(durationMs(service.stop_grace_period!) > drainMs, name);
    assert.ok(service.volumes?.includes(`${name}:${dataDir}`), name);
    assert.deepEqual(
      service.secrets?.map((secret) => `/run/secrets/${secret}`),
      [apiTokens],
    );
    const { read_only, cap_drop, tmpfs } = service as unknown as Record<string, unknown>;
    assert.deepEqual([read_only, cap_drop, tmpfs], [true, ["ALL"], ["/tmp:mode=1777,size=16m"]], name);
  }
});

test("each service starts again, has bounds, and but for one a health check; what they mount is there", () => {
  for (const [name, service] of services) {
    const { deploy, restart } = service as unknown as Record<string, { resources: { limits: { cpus: string; memory: string } } }>;
    assert.equal(restart as unknown, "unless-stopped", name);
    assert.ok(deploy?.resources.limits.cpus && deploy.resources.limits.memory, name);
    for (const [source] of (service.volumes ?? []).map((volume) => volume.split(":") as [string])) {
      if (source.startsWith(".")) assert.ok(existsSync(join(ROOT, source)), source);
      else assert.ok(source in compose.volumes, source);
    }
    for (const secret of service.secrets ?? []) assert.ok(secret in compose.secrets, secret);
    for (const needed of Object.keys(service.depends_on ?? {})) {
      assert.ok(compose.services[needed]?.healthcheck, needed);
      const order = services.map(([other]) => other);
      assert.ok(order.indexOf(needed) < order.indexOf(name), "what is needed stands before");
    }
  }
  assert.deepEqual(
    services.filter(([, { healthcheck }]) => healthcheck === undefined).map(([name]) => name),
    ["otel-collector"],
  );
});
