/** `tidemark builds list|unpack`: the builds that are kept beside the snapshots (docs/upgrade.md). */
import { formatInstant } from "../../../actors/model/time.ts";
import type { KeptBuild } from "../../../runtime/builds/kept-build.ts";
import { readConfig } from "../../../runtime/node/config.ts";
import { command, required } from "../framework/command.ts";
import { printable } from "../terminal/printable.ts";
import { type Column, Table } from "../terminal/table.ts";

const COLUMNS: readonly Column<KeptBuild>[] = [
  { title: "BUILD", of: ({ codeHash }) => codeHash.slice(0, 12) },
  { title: "KEPT", of: ({ keptAt }) => formatInstant(keptAt) },
  { title: "TIDEMARK", of: ({ tidemark }) => tidemark },
  { title: "NODE", of: ({ node }) => node },
  { title: "JOBS", of: ({ jobs }) => jobs.map(({ job, version }) => `${job} ${version}`).join(", ") },
];

export const buildsList = command({
  name: "builds list",
  summary: "The builds that are kept beside the snapshots, the newest first",
  details: [
    "A node keeps the modules of its app there when it starts, with the names and versions of the packages that they stand on. Of those that ran in development only the newest 50 are kept.",
    "It reads the place that TIDEMARK_SNAPSHOTS names; no node has to run. It ends with 1 when one is damaged.",
  ],
  arguments: {},
  options: {},
  examples: [{ line: "tidemark builds list", says: "Hash, time and versions of each" }],
  async run({ env, terminal }) {
    const [{ BuildStore }, { withCatalogue }] = await Promise.all([
      import("../../../runtime/builds/build-store.ts"),
      import("../snapshot-place.ts"),
    ]);
    let damaged = 0;
    const builds = await withCatalogue(readConfig(env), (catalogue, seal) =>
      new BuildStore(catalogue.blobs, seal).list((codeHash, error) => {
        damaged++;
        terminal.notice(printable(`${codeHash}: ${error.message}`));
      }),
    );
    if (terminal.json)
      for (const { codeHash, keptAt, profile, tidemark, node, jobs } of builds)
        await terminal.record({ codeHash, keptAt: formatInstant(keptAt), profile, tidemark, node, jobs });
    else await new Table(terminal, COLUMNS).write(builds);
    return damaged === 0 ? 0 : 1;
  },
});

export const buildsUnpack = command({
  name: "builds unpack",
  summary: "Puts a kept build up under the data directory and prints the path of its app",
  details: [
    "Its packages and its Tidemark have to be installed here in the versions that it ran with; what is missing is said. The path is one that `tidemark node` takes.",
  ],
  arguments: { hash: required("code hash of the build, or how it begins: the 12 characters that messages show") },
  options: {},
  examples: [
    { line: "tidemark builds unpack 2fa1c09b77de", says: "Prints .tidemark/builds/2fa1c09b77de…/app/app.ts" },
    { line: "tidemark node --build 2fa1c09b77de --drain", says: "Does the same, and finishes what that build has begun" },
  ],
  async run({ args: { hash }, env, terminal }) {
    const { unpackedBuild } = await import("../unpacked-build.ts");
    const path = await unpackedBuild(hash, readConfig(env));
    if (terminal.json) await terminal.record({ path });
    else await terminal.line(path);
    return 0;
  },
});
