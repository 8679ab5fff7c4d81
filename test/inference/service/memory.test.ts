import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ask, EchoWorld, outputOf } from "./echo-world.ts";
import { heapBytes } from "./heap-bytes.ts";

suite("an inference process and its client", () => {
  test("keep nothing of a hundred thousand requests, on neither side", async (t) => {
    const world = new EchoWorld(t);
    const client = world.client();
    const run = async (count: number): Promise<{ readonly here: number; readonly there: number }> => {
      let begun = 0;
      const lane = async (): Promise<void> => {
        while (begun++ < count) outputOf(await ask(client, { value: begun }));
      };
      await Promise.all(Array.from({ length: 256 }, lane));
      return { here: heapBytes(), there: outputOf(await ask(client, { heap: true })).value as number };
    };
    const first = await run(20_000);
    const last = await run(100_000);
    // A hundred bytes of each would be as much; two collections one after the other differ by half of it.
    assert.ok(last.here - first.here < 10_000_000, `${first.here} bytes here became ${last.here}`);
    assert.ok(last.there - first.there < 10_000_000, `${first.there} bytes there became ${last.there}`);
    assert.deepEqual(client.waiting, { unsent: 0, sent: 0 });
    const { models } = (await world.service.measures())!;
    assert.equal(models[0]!.inFlight, 0);
    assert.equal(models[0]!.inferences, 120_002);
  });
});
