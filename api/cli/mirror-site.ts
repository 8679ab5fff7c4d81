/** What the commands of mirrors do at the NATS cluster that the settings name, on a connection of their own. */
import type { NatsConnection } from "@nats-io/transport-node";
import { TidemarkError } from "../../runtime/errors.ts";
import { mirrorStatus, type SiteStatus } from "../../runtime/mirror/mirror-status.ts";
import { type SyncedStream, syncMirrors } from "../../runtime/mirror/mirror-sync.ts";
import { type Promotion, type PromotionOptions, promoteMirrors } from "../../runtime/mirror/promotion.ts";
import { connectNats } from "../../runtime/nats-connect.ts";
import type { Config } from "../../runtime/node/config.ts";
import { foundNatsAccess } from "../../runtime/node/nats-access.ts";
import { replicationOf, snapshotSettings } from "../../runtime/node/snapshot-settings.ts";

/** Each throws CONFIG_INVALID, NATS_UNREACHABLE, and what it calls throws. */
export class MirrorSite {
  readonly #config: Config;

  constructor(config: Config) {
    this.#config = config;
  }

  sync(site: string): Promise<SyncedStream[]> {
    return this.#connected((nc) => syncMirrors(nc, site, replicationOf(this.#config)));
  }

  status(): Promise<SiteStatus> {
    return this.#connected(mirrorStatus);
  }

  promote(options: Omit<PromotionOptions, "snapshots">): Promise<Promotion> {
    return this.#connected((nc) => promoteMirrors(nc, { ...options, snapshots: snapshotSettings(this.#config) }));
  }

  async #connected<T>(work: (nc: NatsConnection) => Promise<T>): Promise<T> {
    const access = foundNatsAccess(this.#config);
    if (access === undefined) throw new TidemarkError("CONFIG_INVALID", "TIDEMARK_NATS_URL is not set.");
    const nc = await connectNats(access, "tidemark mirror");
    try {
      return await work(nc);
    } finally {
      await nc.close();
    }
  }
}
