/**
 * A small server that speaks enough of S3: PUT, GET, HEAD, DELETE and ListObjectsV2 by path, with small pages. It checks the
 * signature of every request, keeps objects in memory, makes one visible when its whole body is there, and fails on demand.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Cleanup } from "./nats.ts";
import { type SignatureFault, signatureFault } from "./sigv4.ts";

/** `resetBody`, `truncate`, `flip`: of a GET's answer; `resetUpload`: of a PUT's body. `hang`: no answer at all. */
export type S3Fault = "internalError" | "slowDown" | "resetBody" | "truncate" | "flip" | "resetUpload" | "reset" | "hang" | "quota";

export interface S3Server {
  readonly url: string;
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** By key. */
  readonly objects: Map<string, Buffer>;
  /** `GET /bucket/key?query`, one for each request. */
  readonly seen: string[];
  /** What was refused for its signature. */
  readonly refused: SignatureFault[];
  /** Taken from the front, one for each request. */
  readonly faults: S3Fault[];
  /** The server's clock, ahead of the machine's by so much. */
  skewMs: number;
  close(): Promise<void>;
}

const BUCKET = "tidemark-test";
const ACCESS_KEY = "AKIDEXAMPLE";
const SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const BODY_BYTES_MAX = 64 * 1024 * 1024;
const STATUS: Readonly<Record<string, number>> = {
  InternalError: 500,
  SlowDown: 503,
  NoSuchKey: 404,
  NoSuchBucket: 404,
  XAmzContentSHA256Mismatch: 400,
  AuthorizationHeaderMalformed: 400,
  NotImplemented: 501,
  EntityTooLarge: 400,
};

export async function startS3Server(t: Cleanup, { pageSize = 100 }: { readonly pageSize?: number } = {}): Promise<S3Server> {
  const state = {
    objects: new Map<string, Buffer>(),
    seen: [] as string[],
    refused: [] as SignatureFault[],
    faults: [] as S3Fault[],
    skewMs: 0,
  };
  const http = createServer((request, response) => {
    answer(server, pageSize, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const close = async (): Promise<void> => {
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  };
  const server: S3Server = Object.assign(state, {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    bucket: BUCKET,
    accessKey: ACCESS_KEY,
    secretKey: SECRET_KEY,
    close,
  });
  t.after(close);
  return server;
}

async function answer(server: S3Server, pageSize: number, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [method, target] = [request.method ?? "", request.url ?? ""];
  server.seen.push(`${method} ${target}`);
  response.setHeader("date", new Date(Date.now() + server.skewMs).toUTCString());
  const fault = server.faults.shift();
  if (fault === "hang") return;
  if (fault === "reset") {
    request.socket.resetAndDestroy();
    return;
  }
  const body = await readBody(request, fault);
  if (body === undefined) return;
  if (fault === "internalError") return refuse(response, "InternalError");
  if (fault === "slowDown") return refuse(response, "SlowDown");
  if (fault === "quota") return refuse(response, "QuotaExceeded");
  const rules = { secrets: { [ACCESS_KEY]: SECRET_KEY }, now: Date.now() + server.skewMs };
  const unsigned = signatureFault({ method, target, headers: request.headers, body }, rules);
  if (unsigned !== undefined) {
    server.refused.push(unsigned);
    return refuse(response, unsigned);
  }
  // As many stores that are not AWS do.
  if (Object.entries(request.headers).some(isOfAwsOnly)) return refuse(response, "NotImplemented");
  const url = new URL(target, server.url);
  const [bucket, ...rest] = url.pathname.slice(1).split("/").map(decodeURIComponent);
  if (bucket !== BUCKET) return refuse(response, "NoSuchBucket");
  const key = rest.join("/");
  if (key === "" && method === "GET" && url.searchParams.get("list-type") === "2") return list(server, pageSize, url, response);
  if (key === "") return refuse(response, "NotImplemented");
  objectAnswer(server, method, key, body, fault, response);
}

function isOfAwsOnly([name, value]: [string, unknown]): boolean {
  return /^x-amz-(checksum-|sdk-checksum|trailer)/.test(name) || (name === "content-encoding" && /aws-chunked/.test(String(value)));
}

/** `undefined` when the connection was broken off. */
async function readBody(request: IncomingMessage, fault: S3Fault | undefined): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    if (fault === "resetUpload") {
      request.socket.resetAndDestroy();
      return undefined;
    }
    bytes += part.length;
    if (bytes > BODY_BYTES_MAX) throw new Error("too large");
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function objectAnswer(
  server: S3Server,
  method: string,
  key: string,
  body: Buffer,
  fault: S3Fault | undefined,
  response: ServerResponse,
): void {
  if (method === "PUT") {
    server.objects.set(key, body);
    response.writeHead(200, { etag: '"0"', "content-length": 0 }).end();
  } else if (method === "DELETE") {
    server.objects.delete(key);
    response.writeHead(204).end();
  } else if (method === "GET" || method === "HEAD") {
    const found = server.objects.get(key);
    if (found === undefined) refuse(response, "NoSuchKey");
    else send(found, method, fault, response);
  } else refuse(response, "NotImplemented");
}

function send(found: Buffer, method: string, fault: S3Fault | undefined, response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/octet-stream", "content-length": found.length, etag: '"0"' });
  const half = found.subarray(0, found.length >> 1);
  if (method === "HEAD") response.end();
  else if (fault === "resetBody") response.write(half, () => response.socket?.resetAndDestroy());
  else if (fault === "truncate") response.write(half, () => response.socket?.end());
  else if (fault === "flip") {
    const flipped = Buffer.from(found);
    flipped[flipped.length >> 1]! ^= 1;
    response.end(flipped);
  } else response.end(found);
}

function list(server: S3Server, pageSize: number, url: URL, response: ServerResponse): void {
  const prefix = url.searchParams.get("prefix") ?? "";
  const token = url.searchParams.get("continuation-token");
  const after = token === null ? "" : Buffer.from(token, "base64url").toString();
  const size = Math.min(pageSize, Number(url.searchParams.get("max-keys") ?? 1_000));
  const keys = [...server.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
  const page = keys.slice(0, size);
  const truncated = keys.length > page.length;
  const contents = page.map((key) => `<Contents><Key>${xml(key)}</Key><Size>${server.objects.get(key)!.length}</Size></Contents>`).join("");
  const next = truncated ? `<NextContinuationToken>${Buffer.from(page.at(-1)!).toString("base64url")}</NextContinuationToken>` : "";
  const text =
    `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${BUCKET}</Name>` +
    `<Prefix>${xml(prefix)}</Prefix><KeyCount>${page.length}</KeyCount><MaxKeys>${size}</MaxKeys>` +
    `<IsTruncated>${truncated}</IsTruncated>${contents}${next}</ListBucketResult>`;
  response.writeHead(200, { "content-type": "application/xml", "content-length": Buffer.byteLength(text) }).end(text);
}

function refuse(response: ServerResponse, code: string): void {
  const text = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code} of the test</Message></Error>`;
  response.writeHead(STATUS[code] ?? 403, { "content-type": "application/xml", "content-length": Buffer.byteLength(text) }).end(text);
}

function xml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
