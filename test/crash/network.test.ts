/** The network that tests of clusters make does to its places what they rely on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { whyNoNetwork } from "../support/network.ts";
import type { Heard } from "../support/network-main.ts";
import { inOwnNetwork } from "../support/own-network.ts";

const MAIN = new URL("../support/network-main.ts", import.meta.url);

test("places of a network hear each other, or not while they are cut apart", {
  skip: whyNoNetwork() ?? false,
  timeout: 60_000,
}, async (t) => {
  const { keptWaiting, ...heard } = await inOwnNetwork<object, Heard>(t, MAIN, {});
  const all = "32768 bytes";
  assert.deepEqual(heard, { whole: all, cutThere: "silence", cutBack: "silence", mended: all, router: all, slow: all });
  assert(keptWaiting > 0);
});
