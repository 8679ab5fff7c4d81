/** A kept build, put up under the data directory for a command. */
import { resolve } from "node:path";
import { BuildStore } from "../../runtime/builds/build-store.ts";
import { unpackBuild } from "../../runtime/builds/unpacked-build.ts";
import type { Config } from "../../runtime/node/config.ts";
import { usageError } from "./framework/command.ts";
import { withCatalogue } from "./snapshot-place.ts";

const START = /^[0-9a-f]{6,64}$/;

/** Path of its app. `hash`: its code hash, or how that begins. Throws CODE_UNAVAILABLE with what is missing, and what the place throws. */
export async function unpackedBuild(hash: string, config: Config): Promise<string> {
  if (!START.test(hash)) throw usageError(`"${hash}" is no code hash, nor the first 6 or more characters of one.`);
  return await withCatalogue(config, async (catalogue, seal) => {
    const store = new BuildStore(catalogue.blobs, seal);
    const [found = hash, ...others] = await store.hashes(hash);
    if (others.length > 0) throw usageError(`${others.length + 1} builds begin with ${hash}; write more of it.`);
    // Packages are looked for where an app would be that is started here.
    return await unpackBuild(store, found, resolve(config.dataDir), resolve("app.ts"));
  });
}
