/** Features: the newest output of a key, as the bucket has it. Whoever asks often reads the bucket. */
import { Type } from "typebox";
import type { Feature } from "../../actors/model/feature.ts";
import { writeKey } from "../../actors/model/key.ts";
import { systemClock } from "../../runtime/clock.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { type BucketEntry, FeatureBucket } from "../../runtime/features/feature-bucket.ts";
import { isAlive, readEntry } from "../../runtime/features/feature-entry.ts";
import { featureKey } from "../../runtime/features/feature-key.ts";
import type { Node } from "../../runtime/node/node.ts";
import { badRequest, notFound } from "./problem.ts";
import type { Route } from "./route.ts";
import { Instant, Key } from "./shapes.ts";

const Name = Type.String({ description: "The output's type without the leading `features.`." });
const Value = {
  value: Type.Unknown({ description: "The output's data." }),
  time: Instant,
  id: Type.String({ description: "The output's." }),
  k: Type.Integer({ minimum: 1 }),
  history: Type.String({ description: "When the output stream was created." }),
  storedAt: Instant,
  expiresAt: Instant,
};

export function featureRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/features/{feature}/{key}",
      role: "viewer",
      summary: "The newest value of a feature; of one that is kept by a field, of each member",
      params: Type.Object({ feature: Name, key: Key }),
      answers: {
        200: Type.Union([
          Type.Object({ feature: Name, key: Key, ...Value }),
          Type.Object({ feature: Name, key: Key, by: Type.Record(Type.String(), Type.Object(Value)) }),
        ]),
      },
      handle: async ({ params: { feature: name = "", key = "" } }) => ({ status: 200, body: await readFeature(node, name, key) }),
    },
  ];
}

async function readFeature(node: Node, name: string, key: string): Promise<object> {
  const feature = node.jobs.flatMap(({ job }) => [...job.features.values()]).find((declared) => declared.name === name);
  if (feature === undefined) throw notFound(`No job declares a feature "${name}".`);
  const token = writeKey(key);
  if (token === undefined) throw badRequest("key: 1 to 256 bytes as written, well-formed Unicode.");
  const { payload } = await readBucket(node, feature, token);
  const alive = [...readEntry(feature, payload)].filter(([, value]) => isAlive(value, systemClock.now()));
  if (alive.length === 0) throw notFound(`There is no value of the feature "${name}" with the key "${key}", or its time is over.`);
  const values = Object.fromEntries(alive);
  return { feature: name, key, ...(feature.by === undefined ? values[""] : { by: values }) };
}

/** The bucket comes with the first shard that puts out features. */
async function readBucket({ nc }: Node, { name }: Feature, token: string): Promise<BucketEntry> {
  try {
    return await new FeatureBucket(nc).read(featureKey(name, token));
  } catch (error) {
    if (isTidemarkError(error, "LOG_MISSING")) return { revision: 0, payload: undefined };
    throw error;
  }
}
