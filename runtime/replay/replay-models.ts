/** Models for a replay: their versions looked up in the registry, and a process that runs them for as long as it takes. */
import { join } from "node:path";
import { NO_ORIGINS } from "../../inference/secrets/secret-origins.ts";
import type { ServiceAddress } from "../../inference/service/messages.ts";
import type { ServiceSettings } from "../../inference/service/model-source.ts";
import { systemClock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import { InferenceProcess } from "../inference/inference-process.ts";
import { ModelBucket } from "../models/model-bucket.ts";
import { ModelContents } from "../models/model-contents.ts";
import { Models } from "../models/models.ts";
import { connectNats, type NatsAccess } from "../nats-connect.ts";
import { openCatalogue, type SnapshotSettings } from "../snapshots/open-catalogue.ts";
import type { ReplayedModel } from "./replay-task.ts";

export interface ReplayModelsOptions {
  /** `version`: in place of the one that was in force. */
  readonly wanted: readonly { readonly name: string; readonly version: number | undefined }[];
  readonly nats: NatsAccess;
  readonly snapshots: SnapshotSettings;
  readonly settings: ServiceSettings;
  readonly dataDir: string;
  readonly notice: (message: string) => void;
}

export interface OpenedReplayModels {
  readonly models: readonly ReplayedModel[];
  readonly inference: ServiceAddress;
  close(): Promise<void>;
}

/** Throws MODEL_MISSING for a version that is not registered, NATS_UNREACHABLE. */
export async function openReplayModels(options: ReplayModelsOptions): Promise<OpenedReplayModels> {
  const { wanted, nats, snapshots, settings, dataDir, notice } = options;
  const nc = await connectNats(nats, "tidemark replay models");
  const bucket = new ModelBucket(nc, snapshots);
  // The node of the data directory may have models open from files there: it alone knows which, and deletes.
  const limits = { filesMaxBytes: Number.POSITIVE_INFINITY };
  const contents = new ModelContents(join(dataDir, "models"), () => openCatalogue(nc, snapshots), limits);
  const source = new Models({ nc, bucket, contents, jobs: () => [], secretOrigins: NO_ORIGINS, ensureReference: async () => {} });
  try {
    const models: ReplayedModel[] = [];
    for (const { name, version } of wanted) {
      const record = version === undefined ? undefined : await bucket.get(name, version);
      if (version !== undefined && record === undefined)
        throw new TidemarkError("MODEL_MISSING", `The model "${name}" has no version ${version}.`);
      const { sha256, minConfidence } = record ?? {};
      const least = minConfidence === undefined ? {} : { minConfidence };
      models.push({ name, champion: version === undefined ? undefined : { version, sha256: sha256!, ...least } });
    }
    const process = new InferenceProcess({ source, settings, clock: systemClock, notice });
    const close = async (): Promise<void> => {
      await process.stop();
      await nc.close();
    };
    return { models, inference: process.address(), close };
  } catch (error) {
    await nc.close();
    throw error;
  }
}
