/**
 * Snapshots in S3, or in any store that speaks its protocol: one object a blob, by one PUT, which S3 makes visible whole.
 * Credentials and region are found as the AWS tools find them. Importing this file loads the AWS SDK.
 *
 * Of the protocol only what every store has is used: signatures of version 4, addressing by path, PUT, GET, DELETE and
 * ListObjectsV2. So no checksum headers that only AWS knows: a snapshot's manifest has checksums of its own.
 */
import { setTimeout as delay } from "node:timers/promises";
import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { blobFailure } from "./blob-failure.ts";
import { BlobGate } from "./blob-gate.ts";
import { BLOB_MAX_BYTES, type BlobInfo, type BlobStore, byName, checkBlobName, checkBlobPrefix, checkBlobSize } from "./blob-store.ts";

const REQUESTS_AT_A_TIME = 4;
/** Of the SDK, per request: the first try and what it repeats after 5xx, SlowDown and broken connections. */
const TRIES = 4;
/** Of one read, when its body breaks off: the SDK has handed it over by then and repeats nothing. */
const BODY_TRIES = 3;
const BODY_BACKOFF_MS = 200;
const CONNECT_TIMEOUT_MS = 5_000;
/** Without a sign of the other side. */
const QUIET_MS = 20_000;
const DEFAULT_REGION = "us-east-1";
/** An operation with all its tries. */
const OPERATION_TIMEOUT_MS = 120_000;
/** What a list asks at most: a million blobs. A store that gives the same page for ever is stopped. */
const PAGES_MAX = 1_000;

const ADVICE: Readonly<Record<string, string>> = {
  NoSuchBucket: "Create the bucket, or correct TIDEMARK_SNAPSHOTS.",
  AccessDenied: "Allow s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on the bucket and the prefix.",
  InvalidAccessKeyId: "Correct AWS_ACCESS_KEY_ID, or the profile that AWS_PROFILE names.",
  SignatureDoesNotMatch: "Correct AWS_SECRET_ACCESS_KEY, or the profile that AWS_PROFILE names, and the region.",
  RequestTimeTooSkewed: "Set this machine's clock.",
  CredentialsProviderError: "Give credentials with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the machine's role.",
  PermanentRedirect: "Set AWS_REGION to the bucket's region.",
  AuthorizationHeaderMalformed: "Set AWS_REGION to the bucket's region.",
  QuotaExceeded: "The store is full: make room, or keep snapshots for a shorter time.",
  ENOTFOUND: "Correct the host in TIDEMARK_S3_ENDPOINT.",
  ECONNREFUSED: "Nobody listens there: correct TIDEMARK_S3_ENDPOINT, or start the store.",
};

export interface S3Setting {
  readonly bucket: string;
  readonly prefix: string;
  /** Undefined: AWS. */
  readonly endpoint: string | undefined;
}

export class S3Blobs implements BlobStore {
  readonly place: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  /** Ends with a slash, or is empty. */
  readonly #root: string;
  readonly #requests = new BlobGate(REQUESTS_AT_A_TIME);

  private constructor(client: S3Client, { bucket, prefix, endpoint }: S3Setting) {
    this.#client = client;
    this.#bucket = bucket;
    this.#root = prefix === "" ? "" : `${prefix}/`;
    this.place = `s3://${bucket}/${prefix}${endpoint === undefined ? "" : ` at ${withoutLogin(endpoint)}`}`;
  }

  /** Asks nobody yet: a store that is down must not keep a node from starting. Throws SNAPSHOT_STORE for want of a region. */
  static async open(setting: S3Setting): Promise<S3Blobs> {
    const blobs = new S3Blobs(createClient(setting.endpoint), setting);
    try {
      await blobs.#client.config.region();
      return blobs;
    } catch (error) {
      await blobs.close();
      if (setting.endpoint === undefined) {
        throw blobFailure(blobs.place, "it cannot be opened", error, "Set AWS_REGION to the bucket's region.");
      }
      // Other stores than AWS take any region in a signature.
      return new S3Blobs(createClient(setting.endpoint, DEFAULT_REGION), setting);
    }
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    checkBlobName(name);
    checkBlobSize(name, bytes.length);
    await this.#told(`"${name}" cannot be written`, async (abortSignal) => {
      const command = new PutObjectCommand({ ...this.#object(name), Body: bytes, ContentLength: bytes.length });
      await this.#client.send(command, { abortSignal });
    });
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    checkBlobName(name);
    return await this.#told(`"${name}" cannot be read`, async (abortSignal) => {
      for (let attempt = 1; ; attempt++) {
        const answer = await unlessNoKey(() => this.#client.send(new GetObjectCommand(this.#object(name)), { abortSignal }));
        if (answer?.Body === undefined) return undefined;
        const announced = answer.ContentLength ?? 0;
        if (announced > BLOB_MAX_BYTES) throw new Error(`it has ${announced} bytes`);
        try {
          const bytes = await answer.Body.transformToByteArray();
          if (bytes.length !== announced) throw new Error(`${bytes.length} bytes came of ${announced}`);
          return bytes;
        } catch (error) {
          if (attempt === BODY_TRIES || abortSignal.aborted) throw error;
          await delay(BODY_BACKOFF_MS * 4 ** (attempt - 1));
        }
      }
    });
  }

  async list(prefix: string): Promise<readonly BlobInfo[]> {
    checkBlobPrefix(prefix);
    return await this.#told(`names that begin with "${prefix}" cannot be listed`, async (abortSignal) => {
      const found: BlobInfo[] = [];
      let token: string | undefined;
      for (let pages = 0; pages === 0 || token !== undefined; pages++) {
        if (pages === PAGES_MAX) throw new Error(`the store gives more than ${PAGES_MAX} pages`);
        const command = new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: this.#root + prefix, ContinuationToken: token });
        const page = await this.#client.send(command, { abortSignal });
        for (const { Key: key = "", Size: bytes = 0 } of page.Contents ?? []) found.push({ name: key.slice(this.#root.length), bytes });
        token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      }
      return found.sort(byName);
    });
  }

  async delete(name: string): Promise<void> {
    checkBlobName(name);
    await this.#told(`"${name}" cannot be deleted`, async (abortSignal) => {
      await unlessNoKey(() => this.#client.send(new DeleteObjectCommand(this.#object(name)), { abortSignal }));
    });
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  #object(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#root + name };
  }

  async #told<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await this.#requests.run(() => work(AbortSignal.timeout(OPERATION_TIMEOUT_MS)));
    } catch (error) {
      throw blobFailure(this.place, what, error, adviceFor(error));
    }
  }
}

function createClient(endpoint: string | undefined, region?: string): S3Client {
  return new S3Client({
    forcePathStyle: true,
    maxAttempts: TRIES,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: QUIET_MS,
      socketTimeout: QUIET_MS,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets: REQUESTS_AT_A_TIME },
      httpsAgent: { maxSockets: REQUESTS_AT_A_TIME },
    },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
  });
}

function adviceFor(error: unknown): string | undefined {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  return ADVICE[String(code)] ?? ADVICE[String(name)];
}

/** `undefined` when the store has no such object. Not for a bucket that is missing. */
async function unlessNoKey<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const name = (error as { name?: unknown } | null)?.name;
    if (name === "NoSuchKey" || name === "NotFound") return undefined;
    throw error;
  }
}

function withoutLogin(endpoint: string): string {
  const url = new URL(endpoint);
  url.username = "";
  url.password = "";
  return url.href.replace(/\/$/, "");
}
