/**
 * Puts the guards around a model, in the one order in which they make sense. From the outside in:
 *
 *   time       the answer's latency is that of everything below
 *   fallback   outside of the schema, so that an answer which is refused is asked of the other model, which has its own
 *   cache      outside of the schema: what is kept was checked, and a hit costs no check, no token and no place
 *   schema     before anything is spent on an input that is not what the model takes; behind everything that answers
 *   semantic   inside of the schema: it reads the input, and a text that may differ may be one that the schema refuses
 *   residency  before data goes anywhere, and before a token is taken for what may not go
 *   rates      an inference takes one token, however often it is tried
 *   retries    outside of the places: a pause holds none
 *   places     outside of batching, so that as many wait there as fill the next batches
 *   batching   as many as wait go together
 *   circuit    of this version, around each request to its server: sees attempts, and neither questions nor who waits
 *   model
 *
 * A model that runs here has no residency and no circuit. What is not set is not there, and costs nothing.
 */
import { batchedInferrer } from "../batching/batched-inferrer.ts";
import { MicroBatching } from "../batching/micro-batching.ts";
import { AnswerCache } from "../cache/answer-cache.ts";
import { CachedInferrer } from "../cache/cached-inferrer.ts";
import { embedderOf, SemanticInferrer } from "../cache/semantic-inferrer.ts";
import { failure, InferenceError } from "../failures.ts";
import * as guards from "../guards/bounds.ts";
import { Bulkhead } from "../guards/bulkhead.ts";
import { BulkheadGuard } from "../guards/bulkhead-guard.ts";
import { Circuit } from "../guards/circuit.ts";
import { FallbackGuard } from "../guards/fallback-guard.ts";
import type { GuardClock } from "../guards/guard-clock.ts";
import type { OverloadPolicy } from "../guards/overload-policy.ts";
import { RateGuard } from "../guards/rate-guard.ts";
import { RateLimits } from "../guards/rate-limits.ts";
import { ResidencyGuard } from "../guards/residency-guard.ts";
import { RetryingInferrer } from "../guards/retries.ts";
import { readContract, SchemaGuard } from "../guards/schema-guard.ts";
import { TimedInferrer } from "../guards/timed-inferrer.ts";
import type { Inferrer, ServedModel } from "../inference.ts";
import type { ModelSettings } from "../model-settings.ts";
import { openOnnxModel } from "../onnx/open-model.ts";
import { RESPONSE_MAX_BYTES } from "../remote/bounds.ts";
import { HttpConnections } from "../remote/http-exchange.ts";
import { openRemoteModel } from "../remote/remote-model.ts";
import { SECRETS_MAX } from "../secrets/bounds.ts";
import { hasOrigins, NO_ORIGINS, type SecretOrigins } from "../secrets/secret-origins.ts";
import { Secrets } from "../secrets/secrets.ts";
import { BATCHED_CALLS, CACHED_MAX_BYTES } from "./bounds.ts";
import type { FoundModel, OpenedModel, ServeModel, ServiceSettings } from "./model-source.ts";

export interface ServeMachine {
  readonly clock: GuardClock;
  /** Milliseconds from an arbitrary start, never falling. */
  readonly monotonic: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly notice: (message: string) => void;
}

/** A model with nothing around it yet. */
interface Bottom {
  readonly model: ServedModel;
  /** Calls of it that are of use at a time. */
  readonly concurrency: number;
  /** Places when nothing is set. */
  readonly places: number;
}

type Around = (inner: Inferrer) => Inferrer;

/** What models share is made here, once. */
export function serveWith(settings: ServiceSettings, machine: ServeMachine): ServeModel {
  const shared = new Shared(settings, machine);
  return (found, others) => shared.open(found, others);
}

class Shared {
  readonly #machine: ServeMachine;
  readonly #secrets: Secrets;
  readonly #secretOrigins: SecretOrigins;
  /** Secrets that were told of. */
  readonly #unbound = new Set<string>();
  readonly #connections = new HttpConnections({ responseMaxBytes: RESPONSE_MAX_BYTES });
  readonly #residencies: ReadonlyMap<string, ReadonlySet<string>>;

  constructor({ secretsDirectory, secretOrigins = NO_ORIGINS, residencies = {} }: ServiceSettings, machine: ServeMachine) {
    this.#machine = machine;
    const { environment, clock } = machine;
    const directory = secretsDirectory === undefined ? {} : { directory: secretsDirectory };
    this.#secrets = new Secrets({ environment, now: () => clock.now(), ...directory });
    this.#secretOrigins = secretOrigins;
    this.#residencies = new Map(Object.entries(residencies).map(([tag, regions]) => [tag, new Set(regions)]));
  }

  async open(found: FoundModel, others: Inferrer): Promise<OpenedModel> {
    const { record } = found;
    const { settings = {} } = record;
    const contract = readContract(record);
    if (typeof contract === "string") throw new InferenceError(failure("MODEL_REFUSED", `The schemas of ${record.name}: ${contract}.`));
    const { model, concurrency, places } = await this.#bottom(found);
    const { batchWaitMs } = record;
    const batching = new MicroBatching(model, { concurrency, ...(batchWaitMs === undefined ? {} : { waitMs: batchWaitMs }) });
    const batched = batchedInferrer(record, batching, this.#machine.monotonic);
    const beforePlaces = this.#beforePlaces(found, contract, others);
    const withPlaces = (bulkhead: Bulkhead): Inferrer =>
      beforePlaces(new BulkheadGuard(batched, { bulkhead, policy: settings.policy ?? "queue" }));
    const own = withPlaces(new Bulkhead({ places: settings.places ?? places, waitingMax: guards.WAITING_DEFAULT }));
    const onDemand = withPlaces(new Bulkhead({ places: guards.ON_DEMAND_PLACES_DEFAULT, waitingMax: guards.ON_DEMAND_WAITING_DEFAULT }));
    const outermost = this.#outermost(settings, others);
    return {
      stream: outermost(own),
      onDemand: outermost(onDemand),
      plain: own,
      queued: () => batching.figures.waiting,
      close: () => batching.close(),
    };
  }

  async #bottom({ record, contentPath }: FoundModel): Promise<Bottom> {
    if (record.serving.kind === "onnx") {
      if (contentPath === undefined) throw new InferenceError(failure("MODEL_REFUSED", `The content of ${record.name} is not there.`));
      const model = await openOnnxModel(record, contentPath);
      // While one batch runs the next one gathers.
      return { model, concurrency: model.concurrency, places: 2 * model.batchMax * model.concurrency };
    }
    this.#tellUnbound(record.serving.secret?.name);
    const options = {
      connections: this.#connections,
      secrets: this.#secrets,
      secretOrigins: this.#secretOrigins,
      circuit: new Circuit(),
      now: () => this.#machine.clock.now(),
    };
    const model = await openRemoteModel(record, options);
    const places = record.settings?.places ?? guards.PLACES_DEFAULT;
    // Who has a place is asked at once: places are what bounds the calls, also where more are set than there are usually.
    if (model.batchMax === 1) return { model, concurrency: places + guards.ON_DEMAND_PLACES_DEFAULT, places };
    // With as many calls as inputs at a time nothing would ever gather.
    return { model, concurrency: BATCHED_CALLS, places: 2 * model.batchMax * BATCHED_CALLS };
  }

  /** Of each secret that may go anywhere, once. */
  #tellUnbound(name: string | undefined): void {
    const origins = this.#secretOrigins;
    if (name === undefined || origins.others === "nowhere" || hasOrigins(origins, name) || this.#unbound.has(name)) return;
    if (this.#unbound.size < SECRETS_MAX) this.#unbound.add(name);
    this.#machine.notice(`a model may send the secret "${name}" to any server, which production refuses: see TIDEMARK_SECRETS_ORIGINS`);
  }

  /** From the cache to the retries. Both lanes spend from the same limits and share the same answers. */
  #beforePlaces({ record }: FoundModel, contract: Exclude<ReturnType<typeof readContract>, string>, others: Inferrer): Around {
    const { clock, random } = this.#machine;
    const now = (): number => clock.now();
    const { rates, cacheMs, semantic, policy = "queue" } = record.settings ?? {};
    const around: Around[] = [(inner) => new RetryingInferrer(inner, { clock, random })];
    if (rates !== undefined) {
      const limits = new RateLimits(rates, now());
      around.push((inner) => new RateGuard(inner, { limits, policy, clock }));
    }
    const { serving } = record;
    if (serving.kind !== "onnx") {
      around.push((inner) => new ResidencyGuard(inner, { region: serving.region, residencies: this.#residencies }));
    }
    if (semantic !== undefined) {
      const { field, embedding, embeddingField, threshold } = semantic;
      const embed = embedderOf(others, embedding, embeddingField);
      const options = { embed, field, now, ...(threshold === undefined ? {} : { threshold }) };
      around.push((inner) => new SemanticInferrer(inner, options));
    }
    around.push((inner) => new SchemaGuard(inner, contract));
    if (cacheMs !== undefined) {
      const cache = new AnswerCache({ ttlMs: cacheMs, bytesMax: CACHED_MAX_BYTES });
      around.push((inner) => new CachedInferrer(inner, { cache, now }));
    }
    return (inner) => around.reduce((wrapped, wrap) => wrap(wrapped), inner);
  }

  #outermost({ fallback, fallbackReserveMs = 0, policy = "queue" as OverloadPolicy }: ModelSettings, others: Inferrer): Around {
    const { clock, monotonic } = this.#machine;
    return (inner) => {
      const guarded =
        fallback === undefined
          ? inner
          : new FallbackGuard(inner, { fallback: others, target: () => fallback, policy, reserveMs: fallbackReserveMs, clock });
      return new TimedInferrer(guarded, monotonic);
    };
  }
}
