/** The window alone, answered by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_CHAIN } from "../../runtime/outputs/chain.ts";
import { PipelinedWindow, type WindowOptions } from "../../runtime/outputs/pipelined-window.ts";
import { readPublishReply } from "../../runtime/outputs/publish-reply.ts";
import { sampleOutputs } from "./sample-outputs.ts";

const outputs = sampleOutputs("risk", 200);
const stored = (sequence: number, stream = "risk-out-0") => ({ sequence, stream });

function openWindow(options: WindowOptions = {}) {
  const published: { k: number; ask: boolean; previousChain: string | undefined }[] = [];
  const window = new PipelinedWindow(
    0,
    NO_CHAIN,
    {
      stream: "risk-out-0",
      publish: ({ k }, previousChain, ask) => published.push({ k, ask, previousChain }),
      closed() {},
    },
    options,
  );
  return { window, published };
}

test("every 32nd output asks, and each names its predecessor", () => {
  const { window, published } = openWindow();
  for (const output of outputs.slice(0, 100)) window.send(output);
  window.flush();
  assert.deepEqual(
    published.filter(({ ask }) => ask).map(({ k }) => k),
    [32, 64, 96, 100],
  );
  for (const { k, previousChain } of published) assert.equal(previousChain, k === 1 ? NO_CHAIN : outputs[k - 2]!.chain);
  window.close();
});

test("an acknowledgement covers all before it; a late one of an earlier output changes nothing", () => {
  const { window } = openWindow();
  for (const output of outputs.slice(0, 96)) window.send(output);
  window.answered(64, stored(64));
  assert.equal(window.acknowledged, 64);
  window.answered(32, { code: "10071", detail: "late" });
  window.answered(32, stored(32));
  assert.equal(window.acknowledged, 64);
  assert.equal(window.refusal, undefined);
  window.close();
});

test("an acknowledgement under another number or by another stream is a refusal", () => {
  for (const reply of [stored(33), stored(31), stored(32, "other")]) {
    const { window } = openWindow();
    for (const output of outputs.slice(0, 32)) window.send(output);
    window.answered(32, reply);
    assert.equal(window.refusal?.code, "MISNUMBERED");
    assert.equal(window.acknowledged, 0);
    window.close();
  }
});

test("a refused window is dead: it takes no acknowledgement and sends nothing that it held", () => {
  const { window, published } = openWindow();
  for (const output of outputs.slice(0, 70)) window.send(output);
  window.answered(32, stored(32));
  window.answered(64, { code: "10071", detail: "wrong last sequence: 40" });
  window.answered(64, stored(64));
  window.flush();
  assert.equal(window.acknowledged, 32);
  assert.equal(published.at(-1)?.k, 69);
  window.close();
});

test("answers are read: stored, stored before, refused, nobody there, and nonsense", () => {
  const read = (text: string, status?: number) => readPublishReply(status, Buffer.from(text));
  assert.deepEqual(read('{"stream":"s","seq":7}'), { sequence: 7, stream: "s" });
  assert.deepEqual(read('{"stream":"s","seq":7,"duplicate":true}'), { sequence: 7, stream: "s" });
  assert.deepEqual(read('{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 4"},"stream":"s","seq":0}'), {
    code: "10071",
    detail: "wrong last sequence: 4",
  });
  assert.equal("code" in read("", 503) && (read("", 503) as { code: string }).code, "503");
  for (const text of ["", "{}", "[", "null", "7"]) assert.equal((read(text) as { code: string }).code, "UNREADABLE_ACK");
});
