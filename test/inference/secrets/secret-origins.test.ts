/** That a node says so when a secret may go anywhere. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SecretOrigins } from "../../../inference/secrets/secret-origins.ts";
import { serveWith } from "../../../inference/service/serve.ts";
import { recordOf } from "../remote/remote-records.ts";

async function told(secretOrigins: SecretOrigins): Promise<readonly string[]> {
  const notices: string[] = [];
  const machine = {
    clock: { now: () => 0, sleep: async () => {} },
    monotonic: () => 0,
    random: () => 0,
    environment: {},
    notice: (message: string) => void notices.push(/the secret "(.*)"/.exec(message)![1]!),
  };
  const serve = serveWith({ secretOrigins }, machine);
  for (const secret of ["a-key", "b-key", "a-key"]) {
    const record = recordOf({ kind: "json", url: "https://models.example", secret: { name: secret } });
    const opened = await serve({ record }, { infer: async () => assert.fail("it asked another model") });
    await opened.close();
  }
  return notices;
}

test("a secret that is not bound to origins is told of once, where it may go anywhere", async () => {
  const origins = { "b-key": ["https://models.example"] };
  assert.deepEqual(await told({ origins: {}, others: "anywhere" }), ["a-key", "b-key"]);
  assert.deepEqual(await told({ origins, others: "anywhere" }), ["a-key"]);
  assert.deepEqual(await told({ origins, others: "nowhere" }), []);
});
