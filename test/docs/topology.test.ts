/** The README of each shipped job draws its topology, as `tidemark topology --mermaid` prints it. `UPDATE_DOCS=1` draws it anew. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { mermaidOf } from "../../actors/model/topology/mermaid.ts";
import { topologyOf } from "../../actors/model/topology/topology.ts";
import shipped from "../../actors/shipped.ts";

const BLOCK = /```mermaid\n[\s\S]*?\n```/;

suite("the README of the job", () => {
  for (const job of shipped) {
    test(`${job.name} draws its topology`, () => {
      const file = new URL(`../../actors/${job.name}/README.md`, import.meta.url);
      const page = readFileSync(file, "utf8");
      const drawn = `\`\`\`mermaid\n${mermaidOf(topologyOf([job]))}\n\`\`\``;
      if (process.env.UPDATE_DOCS === "1")
        writeFileSync(
          file,
          page.replace(BLOCK, () => drawn),
        );
      else assert.equal(BLOCK.exec(page)?.[0], drawn);
    });
  }
});
