/**
 * What the Dockerfile lays out, without Docker: the package below /srv beside the packages of the lockfile, an app of one's own, the one
 * Node; run as user 1000 with a root that may not be written but for the data and a folder for sockets.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, cpSync, mkdirSync, readdirSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { folder } from "../support/clone.ts";
import { startTestNats } from "../support/nats.ts";
import { pack, ROOT, run } from "../support/packed.ts";

const USER = 1000;
/** Of Node: the image has its own, of the same version. */
const PROGRAMS = /^node-(linux|win)-|^\./;
/** In a mount namespace of its own: $0 is the place of the image, $1 has the packages, the rest is what runs. */
const CONTAINED = `
  mount --bind "$0" "$0"
  mount --bind "$1" "$0/packages/node_modules"
  mount -o remount,bind,ro "$0/packages/node_modules"
  mount -o remount,bind,ro /
  cd "$0/srv"
  shift
  exec setpriv --reuid=${USER} --regid=${USER} --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"`;
const ABLE = ["-m", "sh", "-ec", `mount -o remount,bind,ro / && setpriv --reuid=${USER} --clear-groups true`];
const UNABLE = spawnSync("unshare", ABLE).status === 0 ? false : "this user may not make its root read-only and become another one";

test("an image's files run an app as a user who may write its data and nothing else", { skip: UNABLE, timeout: 180_000 }, async (t) => {
  const place = await layOut(t);
  const nats = await startTestNats(t, { logs: ["orders"] });
  const env = {
    TIDEMARK_NATS_URL: nats.url,
    TIDEMARK_DATA_DIR: join(place, "data"),
    TIDEMARK_HTTP_PORT: "0",
    TIDEMARK_WORKERS: "1",
    TMPDIR: join(place, "tmp"),
  };
  const program = [join(place, "packages/node_modules", nodeIn()), join(place, "srv/node_modules/tidemark/setup/tidemark.mjs"), "node"];
  const node = run(
    "unshare",
    ["-m", "sh", "-euc", CONTAINED, place, join(ROOT, "node_modules"), ...program, join(place, "srv/app.ts")],
    place,
    env,
  );
  t.after(() => node.stop());
  const [, url] = await node.said(/serves (http:\S+)/);

  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  const order = {
    specversion: "1.0",
    id: "o-1",
    source: "/shop",
    type: "order.placed",
    subject: "alice",
    time: "2026-03-01T09:00:00Z",
    data: { amount: 1200 },
  };
  await nc.request("orders.alice", JSON.stringify(order), { timeout: 10_000 });
  for (;;) {
    const { items } = (await (await fetch(`${url}/v1/outputs?type=customer.big-spender`)).json()) as { readonly items: readonly unknown[] };
    if (items.length > 0) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const stopped = await node.stop();
  assert.equal(stopped.code, 0, stopped.stderr);
  assert.equal(statSync(join(place, "data")).uid, USER);
  assert.ok(readdirSync(join(place, "data")).length > 0);
  // That it could not write elsewhere is seen by trying to.
  writeFileSync(join(place, "srv/try.mjs"), 'import { writeFileSync } from "node:fs";\nwriteFileSync(process.argv[2], "x");\n');
  for (const [path, message] of [
    ["srv/x", /EACCES/],
    ["packages/node_modules/x", /EROFS/],
    ["/x", /EROFS/],
  ] as const) {
    const target = path.startsWith("/") ? path : join(place, path);
    const tried = await run(
      "unshare",
      ["-m", "sh", "-euc", CONTAINED, place, join(ROOT, "node_modules"), program[0]!, "try.mjs", target],
      place,
    ).ended;
    assert.match(tried.stderr, message);
  }
});

/** Gives a folder that has what an image has. */
async function layOut(t: TestContext): Promise<string> {
  const place = folder(t);
  // Others may pass, and nobody but root may write.
  for (const path of ["", "srv", "srv/node_modules", "packages", "packages/node_modules"]) {
    mkdirSync(join(place, path), { recursive: true });
    chmodSync(join(place, path), 0o755);
  }
  for (const path of ["data", "tmp"]) {
    mkdirSync(join(place, path));
    chownSync(join(place, path), USER, USER);
  }
  const { unpacked } = await pack(t);
  renameSync(unpacked, join(place, "srv/node_modules/tidemark"));
  for (const name of readdirSync(join(ROOT, "node_modules")).filter((each) => !PROGRAMS.test(each)))
    symlinkSync(`../../packages/node_modules/${name}`, join(place, "srv/node_modules", name));
  for (const path of ["app.ts", "actors", "package.json"])
    cpSync(join(ROOT, "template", path), join(place, "srv", path), { recursive: true });
  return place;
}

/** Of this platform, from the folder of packages. */
function nodeIn(): string {
  return `node-linux-${process.arch}/bin/node`;
}
