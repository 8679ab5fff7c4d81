/** The past by command, on a running node: what comes at once, and what an operation gives. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { startApiNode } from "../support/api-node.ts";
import { runCli, runOnTerminal } from "../support/cli-run.ts";
import { cloudEvent } from "../support/entries.ts";
import { getJson } from "../support/node-process.ts";

const { url } = await startApiNode("./echo.ts", "echo", { TIDEMARK_HISTORY_ENTRIES: "1" });

/** On a terminal, without its colours and what it redraws. */
async function shown(...words: string[]): Promise<string> {
  const { stdout } = await runOnTerminal([...words, "--url", url]);
  return stripVTControlCharacters(stdout).replaceAll("\r", "");
}

test("an actor as of a position, its timeline, and why it put something out", async () => {
  const answer = await fetch(`${url}/v1/logs/echo/events`, {
    method: "POST",
    headers: { "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify(["e1", "e2", "e3"].map((id) => cloudEvent({ id, key: "k", type: "echo.said" }))),
  });
  const { results } = (await answer.json()) as { results: { position: string }[] };
  await getJson(`${url}/v1/actors/echo/k?after=${results[2]!.position}&wait=30s`);
  const actor = JSON.parse((await runCli(["actor", "echo", "k", "--at", results[1]!.position, "--json", "--url", url])).stdout) as {
    state: unknown;
  };
  assert.deepEqual(actor.state, { count: 2, last: "e2" });
  assert.match(await shown("actor", "echo", "k", "--at", results[1]!.position), /last\s+"e2"/);
  const timeline = await shown("actor", "echo", "k", "--timeline");
  assert.match(timeline, /event {2}echo\.said e2 applied\n {2}count: 1 -> 2\n {2}last: "e1" -> "e2"\n {2}output echo\.\d\.2 echo\.seen/);
  const { items } = await getJson<{ items: readonly { id: string }[] }>(`${url}/v1/outputs?key=k`);
  const told = await shown("explain", items[1]!.id);
  assert.match(told, /before {2}\{"echo":\{"count":1,"last":"e1"\}\}/);
  assert.match(told, /by {2}echo\.echo\.said of echo version 1/);
});
