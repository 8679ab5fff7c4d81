/** Lists that a node has in its memory: whole, or in pages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startApiNode } from "../support/api-node.ts";
import { getJson } from "../support/node-process.ts";

interface Page {
  readonly items: readonly { readonly job: string; readonly shard: number }[];
  readonly next: string | null;
}

const { url } = await startApiNode("./cells-app.ts", "cells");

test("shards come whole, and in pages as other lists do", async () => {
  const whole = await getJson<Page>(`${url}/v1/shards`);
  assert.equal(whole.next, null);
  assert(whole.items.length >= 4, String(whole.items.length));
  const paged: Page["items"][number][] = [];
  let pages = 0;
  for (let cursor: string | null = ""; cursor !== null; pages++) {
    const page: Page = await getJson<Page>(`${url}/v1/shards?limit=3${cursor === "" ? "" : `&cursor=${cursor}`}`);
    assert(page.items.length <= 3);
    paged.push(...page.items);
    cursor = page.next;
  }
  assert.equal(pages, Math.ceil(whole.items.length / 3));
  const placeOf = ({ job, shard }: Page["items"][number]): string => `${job}/${shard}`;
  assert.deepEqual(paged.map(placeOf), whole.items.map(placeOf));
});

test("jobs and nodes take a limit too, and refuse one that is none", async () => {
  assert.equal((await getJson<Page>(`${url}/v1/jobs?limit=1`)).items.length, 1);
  assert.equal((await getJson<Page>(`${url}/v1/nodes?limit=1000`)).items.length, 1);
  assert.equal((await fetch(`${url}/v1/shards?limit=0`)).status, 400);
});
