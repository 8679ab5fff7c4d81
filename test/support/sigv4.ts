/**
 * Signatures of version 4 as AWS documents them ("Authenticating Requests: Using the Authorization Header"), checked from the
 * side of the server. Written from the specification and with nothing of the client's, so that both prove each other.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

export interface SignedRequest {
  readonly method: string;
  /** As sent: path and query, still encoded. */
  readonly target: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

export interface SignatureRules {
  /** Secrets by access key id. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Codes of S3. */
export type SignatureFault =
  | "AccessDenied"
  | "AuthorizationHeaderMalformed"
  | "InvalidAccessKeyId"
  | "RequestTimeTooSkewed"
  | "SignatureDoesNotMatch"
  | "XAmzContentSHA256Mismatch";

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([a-z0-9-]+)\/s3\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/;
const SKEW_MAX_MS = 15 * 60_000;

/** `undefined` when the request is signed by whom it says, now, and with the body that it has. */
export function signatureFault(request: SignedRequest, { secrets, now }: SignatureRules): SignatureFault | undefined {
  const authorization = headerOf(request, "authorization");
  if (authorization === "") return "AccessDenied";
  const match = AUTHORIZATION.exec(authorization);
  if (match === null) return "AuthorizationHeaderMalformed";
  const [, id, day, region, signedHeaders, signature] = match as unknown as [string, string, string, string, string, string];
  const date = headerOf(request, "x-amz-date");
  const time = timeOf(date);
  if (!date.startsWith(day) || Number.isNaN(time)) return "AuthorizationHeaderMalformed";
  if (Math.abs(now - time) > SKEW_MAX_MS) return "RequestTimeTooSkewed";
  const secret = secrets[id];
  if (secret === undefined) return "InvalidAccessKeyId";
  const names = signedHeaders.split(";");
  const mustBeSigned = Object.keys(request.headers).filter((name) => name === "host" || name.startsWith("x-amz-"));
  if (!mustBeSigned.every((name) => names.includes(name))) return "AccessDenied";
  const scope = `${day}/${region}/s3/aws4_request`;
  const toSign = ["AWS4-HMAC-SHA256", date, scope, sha256(canonicalRequest(request, names))].join("\n");
  const key = [day, region, "s3", "aws4_request"].reduce<Uint8Array>((from, part) => hmac(from, part), Buffer.from(`AWS4${secret}`));
  if (!timingSafeEqual(hmac(key, toSign), Buffer.from(signature, "hex"))) return "SignatureDoesNotMatch";
  // A signature over "UNSIGNED-PAYLOAD" would let anybody on the way change the body.
  return headerOf(request, "x-amz-content-sha256") === sha256(request.body) ? undefined : "XAmzContentSHA256Mismatch";
}

function canonicalRequest(request: SignedRequest, names: readonly string[]): string {
  const cut = request.target.indexOf("?");
  const path = cut === -1 ? request.target : request.target.slice(0, cut);
  const query = cut === -1 ? "" : request.target.slice(cut + 1);
  return [
    request.method,
    path.split("/").map(reEncoded).join("/"),
    canonicalQuery(query),
    ...names.map((name) => `${name}:${headerOf(request, name).trim().replace(/ +/g, " ")}`),
    "",
    names.join(";"),
    headerOf(request, "x-amz-content-sha256"),
  ].join("\n");
}

function canonicalQuery(query: string): string {
  const pairs = query.split("&").filter((pair) => pair !== "");
  const encoded = pairs.map((pair) => {
    const equals = pair.indexOf("=");
    return equals === -1 ? [reEncoded(pair), ""] : [reEncoded(pair.slice(0, equals)), reEncoded(pair.slice(equals + 1))];
  });
  return encoded
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join("&");
}

/** Everything but `A-Z a-z 0-9 - . _ ~`, in capitals. */
function reEncoded(text: string): string {
  const hex = (char: string): string => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(decodeURIComponent(text)).replace(/[!'()*]/g, hex);
}

function headerOf({ headers }: SignedRequest, name: string): string {
  const value = headers[name];
  return value === undefined ? "" : typeof value === "string" ? value : value.join(",");
}

function timeOf(date: string): number {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date);
  if (parts === null) return Number.NaN;
  const [, year, month, day, hour, minute, second] = parts.map(Number) as [number, number, number, number, number, number, number];
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function sha256(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
