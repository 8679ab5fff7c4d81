/**
 * The builds of a node: its own is kept beside the snapshots, and past epochs find theirs there. The place is opened with the
 * first question, so that a node starts while it is away.
 */
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { App } from "../app.ts";
import type { Clock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { TIDEMARK_VERSION } from "../own-package.ts";
import type { BuildStore } from "./build-store.ts";
import type { KeptBuild } from "./kept-build.ts";
import { unpackBuild } from "./unpacked-build.ts";

export interface NodeBuildsOptions {
  readonly app: App;
  readonly profile: KeptBuild["profile"];
  readonly dataDir: string;
  readonly clock: Clock;
  readonly open: () => Promise<BuildStore>;
  readonly notice: (message: string) => void;
  readonly stopped: () => boolean;
}

const RETRY_MS = 10_000;
/** Behind them it is told, and the next start tries again. */
const TRIES = 30;

export class NodeBuilds {
  readonly #options: NodeBuildsOptions;
  #store: Promise<BuildStore> | undefined;

  constructor(options: NodeBuildsOptions) {
    this.#options = options;
  }

  /** Keeps the build that runs. A place that is away is waited for; what cannot be kept is told. */
  async keep(): Promise<void> {
    const { app, profile, clock, notice, stopped } = this.#options;
    for (let attempt = 1; !stopped(); attempt++) {
      try {
        await (await this.#opened()).keep(app, profile, clock);
        return;
      } catch (error) {
        if (stopped()) return;
        const away = isTidemarkError(error, "SNAPSHOT_STORE") || isTidemarkError(error, "NATS_UNREACHABLE");
        if (!away || attempt === TRIES) {
          notice(
            `this build is not kept beside the snapshots, keep it yourself: ${error instanceof Error ? error.message : String(error)}`,
          );
          return;
        }
        await clock.sleep(RETRY_MS);
      }
    }
  }

  /**
   * The app that may fold the entries of an epoch: the one that runs here, where it is the same code, or the kept one put up under
   * the data directory. `loadApp` of it has the epoch's code hash. Throws CODE_UNAVAILABLE with what is missing, or what the place
   * throws. All that the epoch records counts: also Tidemark, Node and its libraries.
   */
  async appOf(epoch: CodeIdentity): Promise<string> {
    const { icu = "none", tz = "none", node } = process.versions;
    const here: Pick<CodeIdentity, "tidemark" | "node" | "icu" | "tz"> = { tidemark: TIDEMARK_VERSION, node, icu, tz };
    const other = (["tidemark", "node", "icu", "tz"] as const).filter((part) => here[part] !== epoch[part]);
    if (other.length > 0) {
      const what = other.map((part) => `${part} ${epoch[part]}, this is ${here[part]}`).join("; ");
      throw new TidemarkError("CODE_UNAVAILABLE", `Entries of version ${epoch.version} (${epoch.codeHash.slice(0, 12)}) need ${what}.`);
    }
    const { app, dataDir } = this.#options;
    if (epoch.codeHash === app.codeHash) return app.source.file;
    return await unpackBuild(await this.#opened(), epoch.codeHash, dataDir, app.source.file);
  }

  async close(): Promise<void> {
    const store = await this.#store?.catch(() => undefined);
    await store?.close();
  }

  #opened(): Promise<BuildStore> {
    this.#store ??= this.#options.open().catch((error: unknown) => {
      this.#store = undefined;
      throw error;
    });
    return this.#store;
  }
}
